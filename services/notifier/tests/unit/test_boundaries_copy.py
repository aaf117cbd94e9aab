"""The copy of a token, whole: which members an event changes and which it leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import (
    AccountRef,
    DetectedBy,
    IssuedHow,
    RevocationCause,
    TokenEvent,
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
from notifier.core.tokens import OWN_WILL, Reading, Token, TokenAccount, fold

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
SOON, LATE = NOW + timedelta(days=6), NOW + timedelta(days=60)
REF = TokenRef(
    token_id=UUID(int=7),
    kind=TokenKind.PLATFORM_OAUTH,
    provider="meta",
    workspace_id=UUID(int=1),
    owner_user_id=UUID(int=2),
    version=4,
    accounts=(AccountRef(account_id=UUID(int=5), external_id="act_1", name="Shop"),),
)
#: The copy that an event of version 4 makes where nothing was held.
FIRST = Token(
    token_id=REF.token_id,
    kind=REF.kind,
    provider=REF.provider,
    workspace_id=REF.workspace_id,
    owner_user_id=REF.owner_user_id,
    version=4,
    status=TokenStatus.ACTIVE,
    accounts=(TokenAccount(UUID(int=5), "act_1", "Shop"),),
)
HELD = replace(FIRST, version=3, expires_at=SOON, accounts=(), provider="old name")
DEAD = replace(
    HELD,
    status=TokenStatus.REVOKED,
    cause=RevocationCause.USER_REVOKED,
    detected_by=DetectedBy.WEBHOOK,
    outage=3,
)


@pytest.mark.parametrize("held", [None, HELD, DEAD])
def test_a_renewal_ends_the_cause_and_brings_the_date(held: Token | None) -> None:
    outage = 0 if held is None else held.outage
    for body in (
        TokenIssuedV1(token=REF, how=IssuedHow.CONNECT, expires_at=LATE),
        TokenRefreshedV1(token=REF, expires_at=LATE, rotated=False),
    ):
        assert fold(held, body) == (replace(FIRST, expires_at=LATE, outage=outage), Reading.NEWS)


@pytest.mark.parametrize(("held", "expires_at"), [(None, None), (HELD, SOON)])
def test_a_revocation_keeps_the_date_that_was_held(held: Token | None, expires_at: datetime | None) -> None:
    body = TokenRevokedV1(token=REF, cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE)
    assert fold(held, body)[0] == replace(
        FIRST,
        status=TokenStatus.REVOKED,
        expires_at=expires_at,
        cause=RevocationCause.COMPROMISE,
        detected_by=DetectedBy.PROBE,
        outage=4,
    )


def test_a_whole_state_is_taken_whole() -> None:
    body = TokenStateV1(
        token=REF,
        status=TokenStatus.REVOKED,
        since=NOW,
        expires_at=LATE,
        cause=RevocationCause.COMPROMISE,
        detected_by=DetectedBy.REPORT,
    )
    assert fold(DEAD, body)[0] == replace(
        FIRST,
        status=TokenStatus.REVOKED,
        expires_at=LATE,
        cause=RevocationCause.COMPROMISE,
        detected_by=DetectedBy.REPORT,
        outage=3,
    )


@pytest.mark.parametrize(("held", "reading"), [(4, Reading.KNOWN), (5, Reading.STALE)])
def test_what_is_not_newer_leaves_the_copy_as_it_is(held: int, reading: Reading) -> None:
    copy = replace(HELD, version=held)
    assert fold(copy, TokenRefreshedV1(token=REF, expires_at=LATE, rotated=False)) == (copy, reading)


def test_a_first_warning_and_a_first_expiry_make_the_copy() -> None:
    warned, _ = fold(None, _expiring(4, SOON))
    assert warned == replace(FIRST, status=TokenStatus.EXPIRING, expires_at=SOON)
    ended, _ = fold(None, _expired(4, SOON))
    assert ended == replace(FIRST, status=TokenStatus.EXPIRED, expires_at=SOON, outage=4)


def test_a_warning_fills_in_a_date_that_is_missing_and_changes_nothing_else() -> None:
    copy = replace(HELD, version=4, expires_at=None)
    assert fold(copy, _expiring(4, SOON)) == (replace(copy, expires_at=SOON), Reading.NEWS)
    assert fold(replace(copy, version=5), _expiring(4, SOON)) == (replace(copy, version=5), Reading.STALE)


def test_a_derived_fact_of_a_newer_version_takes_the_copy_with_it() -> None:
    warned, reading = fold(DEAD, _expiring(4, LATE))
    assert (warned, reading) == (replace(FIRST, status=TokenStatus.EXPIRING, expires_at=LATE, outage=3), Reading.NEWS)
    ended, reading = fold(HELD, _expired(4, NOW))
    assert (ended, reading) == (
        replace(FIRST, status=TokenStatus.EXPIRED, expires_at=NOW, outage=4),
        Reading.NEWS,
    )


@pytest.mark.parametrize(
    ("copy", "at", "reading"),
    [
        pytest.param(HELD, SOON, Reading.NEWS, id="the date that is held"),
        pytest.param(HELD, LATE, Reading.NEWS, id="a later date of the same version"),
        pytest.param(replace(HELD, expires_at=None), SOON, Reading.NEWS, id="no date is held"),
        pytest.param(HELD, NOW, Reading.STALE, id="a later date is held"),
        pytest.param(replace(HELD, version=9), SOON, Reading.NEWS, id="a newer version with the same date"),
        pytest.param(replace(HELD, version=9), LATE, Reading.STALE, id="a newer version with another date"),
        pytest.param(replace(HELD, status=TokenStatus.EXPIRED), SOON, Reading.KNOWN, id="it has expired already"),
        pytest.param(DEAD, SOON, Reading.STALE, id="it was revoked"),
    ],
)
def test_an_expiry_of_a_version_that_is_held(copy: Token, at: datetime, reading: Reading) -> None:
    after, found = fold(copy, _expired(3, at))
    assert found is reading
    if reading is Reading.NEWS:
        assert after == replace(copy, status=TokenStatus.EXPIRED, expires_at=at, outage=copy.version)
    else:
        assert after == copy


def test_nobody_is_told_what_they_did_here_themselves() -> None:
    told = {
        RevocationCause.USER_REVOKED,
        RevocationCause.PERMISSION_CHANGED,
        RevocationCause.PLATFORM_ENFORCED,
        RevocationCause.COMPROMISE,
        RevocationCause.CREDENTIAL_LOST,
    }
    assert set(RevocationCause) - OWN_WILL == told
    ended = replace(DEAD, cause=RevocationCause.DISCONNECTED)
    assert ended.ended_by_own_will
    assert not DEAD.ended_by_own_will
    assert not replace(ended, status=TokenStatus.EXPIRED).ended_by_own_will


def _expiring(version: int, at: datetime) -> TokenEvent:
    token = REF.model_copy(update={"version": version})
    return TokenExpiringV1(token=token, stage="7d", expires_at=at, remaining_s=10)


def _expired(version: int, at: datetime) -> TokenEvent:
    return TokenExpiredV1(token=REF.model_copy(update={"version": version}), expired_at=at)
