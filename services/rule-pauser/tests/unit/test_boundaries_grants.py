"""Which event changes a grant, at the edges: equal versions, equal dates, and each state that an owner may report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    AccountRef,
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.runtime.ids import new_id
from rule_pauser.core.grants import KnownGrant, Life, next_grant

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
END = NOW + timedelta(days=60)
SECOND = timedelta(seconds=1)
TOKEN = TokenRef(
    token_id=new_id(),
    kind=TokenKind.PLATFORM_OAUTH,
    provider="meta",
    workspace_id=new_id(),
    owner_user_id=new_id(),
    version=5,
)


def heard(body: EventBody) -> Event[EventBody]:
    return Event(id=new_id(), time=NOW, source="oauth-svc", body=body)


def token(version: int = 5, kind: TokenKind = TokenKind.PLATFORM_OAUTH) -> TokenRef:
    return TOKEN.model_copy(update={"version": version, "kind": kind})


def live(version: int = 5, expires_at: datetime | None = END) -> KnownGrant:
    return KnownGrant(version, Life.LIVE, NOW, expires_at)


def told_expired(version: int = 5, at: datetime = END) -> Event[EventBody]:
    return heard(TokenExpiredV1(token=token(version), expired_at=at))


def test_a_new_or_renewed_grant_is_live_until_the_date_that_it_brings() -> None:
    issued = heard(TokenIssuedV1(token=token(), how=IssuedHow.CONNECT, expires_at=END))
    refreshed = heard(TokenRefreshedV1(token=token(), expires_at=END, rotated=False))
    dead = KnownGrant(4, Life.REVOKED, NOW - SECOND, NOW, RevocationCause.USER_REVOKED)
    for known in (None, live(4, NOW), dead):
        assert next_grant(known, issued) == next_grant(known, refreshed) == live(5, END)


def test_a_revocation_keeps_the_date_that_was_held_and_brings_the_cause() -> None:
    cause = RevocationCause.PERMISSION_CHANGED
    event = heard(TokenRevokedV1(token=token(), cause=cause, detected_by=DetectedBy.WEBHOOK))
    assert next_grant(live(4, END), event) == KnownGrant(5, Life.REVOKED, NOW, END, cause)
    assert next_grant(None, event) == KnownGrant(5, Life.REVOKED, NOW, None, cause)


@pytest.mark.parametrize(
    ("status", "life", "cause"),
    [
        (TokenStatus.ACTIVE, Life.LIVE, None),
        (TokenStatus.EXPIRING, Life.LIVE, None),
        (TokenStatus.DEGRADED, Life.LIVE, None),
        (TokenStatus.EXPIRED, Life.EXPIRED, None),
        (TokenStatus.REVOKED, Life.REVOKED, RevocationCause.COMPROMISE),
    ],
)
def test_the_whole_state_is_taken_as_its_owner_tells_it(
    status: TokenStatus, life: Life, cause: RevocationCause | None
) -> None:
    since = NOW - timedelta(hours=1)
    event = heard(TokenStateV1(token=token(), status=status, since=since, expires_at=END, cause=cause))
    assert next_grant(live(4), event) == KnownGrant(5, life, since, END, cause)


@pytest.mark.parametrize("known", [5, 6])
def test_what_is_not_newer_than_what_is_held_changes_nothing(known: int) -> None:
    for body in (
        TokenRefreshedV1(token=token(), expires_at=END + SECOND, rotated=False),
        TokenRevokedV1(token=token(), cause=RevocationCause.USER_REVOKED, detected_by=DetectedBy.WEBHOOK),
        TokenStateV1(token=token(), status=TokenStatus.EXPIRED, since=NOW, expires_at=END),
    ):
        assert next_grant(live(known), heard(body)) is None


def test_a_warning_ends_nothing_and_an_account_is_not_a_grant() -> None:
    warning = TokenExpiringV1(token=token(6), stage="7d", expires_at=END, remaining_s=60)
    assert next_grant(live(), heard(warning)) is None
    lost = AccountAccessChangedV1(
        account=AccountRef(account_id=new_id(), external_id="act_1", name="Shop"),
        token_id=TOKEN.token_id,
        workspace_id=TOKEN.workspace_id,
        owner_user_id=TOKEN.owner_user_id,
        provider="meta",
        version=6,
        access=AccountAccess.LOST,
        cause=RevocationCause.PERMISSION_CHANGED,
    )
    assert next_grant(live(), heard(lost)) is None


def test_an_integration_carries_accounts_too() -> None:
    body = TokenRefreshedV1(token=token(kind=TokenKind.INTEGRATION), expires_at=END, rotated=False)
    assert next_grant(None, heard(body)) == live()


@pytest.mark.parametrize(
    ("known", "version", "expected"),
    [
        pytest.param(None, 5, KnownGrant(5, Life.EXPIRED, END, END), id="unknown"),
        pytest.param(live(4, END + SECOND), 5, KnownGrant(5, Life.EXPIRED, END, END), id="newer than what is known"),
        pytest.param(live(5, END), 5, KnownGrant(5, Life.EXPIRED, END, END), id="of the known version and date"),
        pytest.param(live(5, None), 5, KnownGrant(5, Life.EXPIRED, END, END), id="no date is known"),
        pytest.param(live(6, END), 5, KnownGrant(6, Life.EXPIRED, END, END), id="a newer version left the date"),
        pytest.param(
            live(6, END - SECOND),
            5,
            KnownGrant(6, Life.EXPIRED, END - SECOND, END - SECOND),
            id="a newer one ends before",
        ),
        pytest.param(live(5, END + SECOND), 5, live(5, END + SECOND), id="renewed: a later date is known"),
        pytest.param(live(6, None), 5, live(6, None), id="a newer version without a date"),
        pytest.param(
            KnownGrant(5, Life.EXPIRED, NOW, END), 5, KnownGrant(5, Life.EXPIRED, NOW, END), id="expired already"
        ),
        pytest.param(KnownGrant(5, Life.REVOKED, NOW, END), 5, KnownGrant(5, Life.REVOKED, NOW, END), id="revoked"),
    ],
)
def test_an_expiry_counts_unless_the_grant_was_renewed_or_has_ended(
    known: KnownGrant | None, version: int, expected: KnownGrant
) -> None:
    """Whatever it does to the grant, the moment that has passed is kept, and told again it says nothing new."""
    after = next_grant(known, told_expired(version))
    assert after == replace(expected, passed_at=END)
    assert next_grant(after, told_expired(version)) is None
