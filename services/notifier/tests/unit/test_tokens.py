"""How events change the copy of a token, and which facts they establish."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    DetectedBy,
    IssuedHow,
    NoticeCode,
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
from notifier.core.conditions import (
    Resolution,
    comes_back,
    escalates,
    is_critical,
    judge,
    stage_length,
    tell,
    tell_rules,
)
from notifier.core.tokens import Reading, Token, fold

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
SOON, LATE = NOW + timedelta(days=6), NOW + timedelta(days=60)
S = TokenStatus


def _ref(version: int = 1, kind: TokenKind = TokenKind.PLATFORM_OAUTH) -> TokenRef:
    return TokenRef(
        token_id=UUID(int=7),
        kind=kind,
        provider="meta",
        workspace_id=UUID(int=1),
        owner_user_id=UUID(int=2),
        version=version,
    )


def _token(**more: Any) -> Token:
    defaults: dict[str, Any] = {
        "token_id": UUID(int=7),
        "kind": TokenKind.PLATFORM_OAUTH,
        "provider": "meta",
        "workspace_id": UUID(int=1),
        "owner_user_id": UUID(int=2),
        "version": 3,
        "status": S.ACTIVE,
        "expires_at": SOON,
    }
    return Token(**(defaults | more))


def _issued(version: int, expires_at: datetime | None = LATE) -> TokenEvent:
    return TokenIssuedV1(token=_ref(version), how=IssuedHow.REAUTHORIZE, expires_at=expires_at)


def _revoked(version: int, cause: RevocationCause = RevocationCause.USER_REVOKED, **more: Any) -> TokenEvent:
    return TokenRevokedV1(token=_ref(version, **more), cause=cause, detected_by=DetectedBy.WEBHOOK)


def _expiring(version: int, expires_at: datetime = SOON) -> TokenEvent:
    return TokenExpiringV1(token=_ref(version), stage="7d", expires_at=expires_at, remaining_s=10)


def _expired(version: int, at: datetime = SOON) -> TokenEvent:
    return TokenExpiredV1(token=_ref(version), expired_at=at)


def _state(version: int, status: TokenStatus, **more: Any) -> TokenEvent:
    return TokenStateV1(token=_ref(version), status=status, **({"since": NOW, "expires_at": SOON} | more))


@pytest.mark.parametrize(
    ("held", "body", "reading", "status"),
    [
        (None, _issued(1), Reading.NEWS, S.ACTIVE),
        (_token(), _issued(4), Reading.NEWS, S.ACTIVE),
        (_token(), _issued(3), Reading.KNOWN, S.ACTIVE),
        (_token(status=S.REVOKED), _issued(2), Reading.STALE, S.REVOKED),
        (_token(), TokenRefreshedV1(token=_ref(4), expires_at=LATE, rotated=True), Reading.NEWS, S.ACTIVE),
        (_token(), _revoked(4), Reading.NEWS, S.REVOKED),
        (_token(), _revoked(3), Reading.KNOWN, S.ACTIVE),
        (_token(), _state(4, S.DEGRADED), Reading.NEWS, S.DEGRADED),
        (_token(), _state(2, S.REVOKED), Reading.STALE, S.ACTIVE),
        # derived facts: stale once a later expiry, a revocation, or a newer version with another expiry is known
        (None, _expiring(1), Reading.NEWS, S.EXPIRING),
        (_token(), _expiring(3), Reading.KNOWN, S.ACTIVE),
        (_token(), _expiring(2), Reading.KNOWN, S.ACTIVE),
        (_token(expires_at=LATE), _expiring(3), Reading.STALE, S.ACTIVE),
        (_token(expires_at=NOW), _expiring(2), Reading.STALE, S.ACTIVE),
        (_token(expires_at=None), _expiring(3), Reading.NEWS, S.ACTIVE),
        (_token(status=S.REVOKED), _expiring(3), Reading.STALE, S.REVOKED),
        (_token(status=S.EXPIRED), _expiring(3), Reading.STALE, S.EXPIRED),
        (None, _expired(1), Reading.NEWS, S.EXPIRED),
        (_token(), _expired(3), Reading.NEWS, S.EXPIRED),
        (_token(version=5), _expired(3), Reading.NEWS, S.EXPIRED),
        (_token(expires_at=LATE), _expired(3), Reading.STALE, S.ACTIVE),
        (_token(expires_at=NOW, version=5), _expired(3), Reading.STALE, S.ACTIVE),
        (_token(status=S.EXPIRED), _expired(3), Reading.KNOWN, S.EXPIRED),
        (_token(status=S.REVOKED), _expired(3), Reading.STALE, S.REVOKED),
        # a derived fact of a newer version came before the change itself: after a crash topics overtake each other
        (_token(expires_at=LATE), _expiring(4), Reading.NEWS, S.EXPIRING),
        (_token(status=S.REVOKED), _expiring(5), Reading.NEWS, S.EXPIRING),
        (_token(status=S.EXPIRED, expires_at=NOW), _expiring(4), Reading.NEWS, S.EXPIRING),
        (_token(expires_at=LATE), _expired(4), Reading.NEWS, S.EXPIRED),
        (_token(status=S.REVOKED), _expired(5), Reading.NEWS, S.EXPIRED),
    ],
)
def test_fold(held: Token | None, body: TokenEvent, reading: Reading, status: TokenStatus) -> None:
    after, found = fold(held, body)
    assert (found, after.status) == (reading, status)


def test_an_end_that_has_passed_is_not_undone_by_a_refresh_that_kept_it() -> None:
    refreshed = TokenRefreshedV1(token=_ref(4), expires_at=SOON, rotated=False)
    late, _ = fold(fold(_token(), _expired(3))[0], refreshed)
    early, _ = fold(fold(_token(), refreshed)[0], _expired(3))
    assert (late.status, late.version, late.expires_at) == (S.EXPIRED, 4, SOON)
    assert (early.status, early.version, early.expires_at) == (S.EXPIRED, 4, SOON)
    assert fold(late, _issued(5))[0].status is S.ACTIVE
    assert fold(late, _issued(5, None))[0].status is S.ACTIVE
    assert fold(late, _state(5, S.ACTIVE, expires_at=SOON + timedelta(seconds=1)))[0].status is S.ACTIVE
    assert fold(_token(status=S.EXPIRED, expires_at=None), refreshed)[0].status is S.ACTIVE


@pytest.mark.parametrize(("derived", "outage"), [(_expiring(4), 0), (_expired(4), 4)])
def test_a_derived_fact_that_comes_first_tells_the_change_too(derived: TokenEvent, outage: int) -> None:
    """A renewal may bring the end closer (a platform shortened its lifetimes); its warning can come before it."""
    held = _token(expires_at=LATE, cause=RevocationCause.USER_REVOKED, detected_by=DetectedBy.WEBHOOK)
    ahead, _ = fold(held, derived)
    assert (ahead.version, ahead.expires_at, ahead.outage) == (4, SOON, outage)
    assert (ahead.cause, ahead.detected_by) == (None, None)
    for late in (_issued(4, SOON), _state(4, S.ACTIVE), _issued(2)):
        assert fold(ahead, late)[0] == ahead


def test_an_outage_is_numbered_by_the_version_at_which_life_was_left() -> None:
    dead, _ = fold(_token(), _revoked(4))
    assert dead.outage == 4
    still, _ = fold(dead, _state(5, S.REVOKED, cause=RevocationCause.USER_REVOKED))
    assert still.outage == 4
    alive, _ = fold(still, _issued(6))
    assert (alive.outage, alive.cause, alive.expires_at) == (4, None, LATE)
    again, _ = fold(alive, _expired(6, LATE))
    assert again.outage == 6


def _told(held: Token | None, body: TokenEvent, now: datetime = NOW) -> tuple[NoticeCode | None, int, str]:
    token, reading = fold(held, body)
    told = tell(token, body, reading, now)
    return (told.fact.code, told.fact.episode, "") if told.fact else (None, 0, told.why_not)


@pytest.mark.parametrize(
    ("held", "body", "code", "episode", "why_not"),
    [
        (_token(), _expiring(3), NoticeCode.TOKEN_EXPIRING, int(SOON.timestamp()), ""),
        (_token(), _expired(3), NoticeCode.TOKEN_EXPIRED, int(SOON.timestamp()), ""),
        (_token(), _state(4, S.EXPIRED), NoticeCode.TOKEN_EXPIRED, int(SOON.timestamp()), ""),
        (_token(), _state(4, S.EXPIRED, expires_at=None), NoticeCode.TOKEN_EXPIRED, 4, ""),
        (_token(), _revoked(4), NoticeCode.TOKEN_REVOKED, 4, ""),
        (_token(), _state(4, S.REVOKED, cause=RevocationCause.COMPROMISE), NoticeCode.TOKEN_REVOKED, 4, ""),
        (_token(), _revoked(4, RevocationCause.DISCONNECTED), None, 0, "own_will"),
        (None, _revoked(1, kind=TokenKind.SESSION), None, 0, "kind"),
        (None, _revoked(2, kind=TokenKind.TELEGRAM_LINK), NoticeCode.TELEGRAM_BROKEN, 2, ""),
        (None, _revoked(2, RevocationCause.USED, kind=TokenKind.TELEGRAM_LINK), None, 0, "own_will"),
        (_token(expires_at=LATE), _expiring(3), None, 0, "stale"),
        (_token(expires_at=LATE), _expiring(4), NoticeCode.TOKEN_EXPIRING, int(SOON.timestamp()), ""),
        (_token(), _issued(4), None, 0, "no_fact"),
        (_token(), _state(4, S.DEGRADED), None, 0, "no_fact"),
        (_token(), _state(4, S.REVOKED, since=NOW - timedelta(days=8)), None, 0, "old_news"),
        (_token(expires_at=NOW), _expiring(3, NOW), None, 0, "expired_meanwhile"),
    ],
)
def test_tell(held: Token | None, body: TokenEvent, code: NoticeCode | None, episode: int, why_not: str) -> None:
    assert _told(held, body) == (code, episode, why_not)


REVOKED_HERE = {"status": S.REVOKED, "cause": RevocationCause.DISCONNECTED}
REVOKED_THERE = {"status": S.REVOKED, "cause": RevocationCause.USER_REVOKED}
C, R = NoticeCode, Resolution


@pytest.mark.parametrize(
    ("code", "token", "resolution"),
    [
        (C.TOKEN_EXPIRING, _token(), None),
        (C.TOKEN_EXPIRING, _token(status=S.DEGRADED), None),
        (C.TOKEN_EXPIRING, _token(expires_at=LATE), R.RENEWED),
        (C.TOKEN_EXPIRING, _token(expires_at=NOW), R.SUPERSEDED),  # a renewal brought the end closer
        (C.TOKEN_EXPIRING, _token(expires_at=None), R.RENEWED),
        (C.TOKEN_EXPIRING, _token(status=S.EXPIRED), R.SUPERSEDED),
        (C.TOKEN_EXPIRING, _token(**REVOKED_THERE), R.SUPERSEDED),
        (C.TOKEN_EXPIRING, _token(**REVOKED_HERE), R.ENDED),
        (C.TOKEN_EXPIRED, _token(status=S.EXPIRED), None),
        (C.TOKEN_EXPIRED, _token(), None),
        (C.TOKEN_EXPIRED, _token(status=S.EXPIRED, expires_at=LATE), R.SUPERSEDED),
        (C.TOKEN_EXPIRED, _token(status=S.EXPIRED, expires_at=None), None),
        (C.TOKEN_EXPIRED, _token(expires_at=LATE), R.RENEWED),
        (C.TOKEN_EXPIRED, _token(**REVOKED_THERE), R.SUPERSEDED),
        (C.TOKEN_EXPIRED, _token(**REVOKED_HERE), R.ENDED),
        (C.TOKEN_REVOKED, _token(**REVOKED_THERE), None),
        (C.TOKEN_REVOKED, _token(status=S.EXPIRED), R.SUPERSEDED),
        (C.TOKEN_REVOKED, _token(), R.RENEWED),
        (C.TOKEN_REVOKED, _token(**REVOKED_HERE), R.ENDED),
        (C.ACCOUNT_ACCESS_LOST, _token(), None),
        (C.ACCOUNT_ACCESS_LOST, _token(**REVOKED_THERE), R.SUPERSEDED),
        (C.ACCOUNT_ACCESS_LOST, _token(**REVOKED_HERE), R.ENDED),
        (C.RULES_PAUSED, _token(**REVOKED_HERE), None),
        (C.RULES_PAUSED, _token(status=S.EXPIRED), None),
        (C.RULES_PAUSED, _token(status=S.DEGRADED), R.RENEWED),
        (C.PLATFORM_INCIDENT, _token(), None),
        (C.DATA_GAP, _token(), None),
        (C.TOKEN_REVOKED, None, None),
    ],
)
def test_judge(code: NoticeCode, token: Token | None, resolution: Resolution | None) -> None:
    assert judge(code, SOON, token) is resolution


@pytest.mark.parametrize(
    ("token", "episode"),
    [
        (_token(status=S.REVOKED, cause=RevocationCause.DISCONNECTED, outage=4), 4),
        (_token(status=S.EXPIRED, outage=6), 6),
        (_token(status=S.REVOKED, kind=TokenKind.INTEGRATION, outage=2), 2),
        (_token(outage=4), None),
        (_token(status=S.DEGRADED, outage=4), None),
        (_token(status=S.REVOKED, kind=TokenKind.TELEGRAM_LINK, outage=4), None),
    ],
)
def test_rules_stand_still_for_a_dead_connection_once_an_outage(token: Token, episode: int | None) -> None:
    fact = tell_rules(token)
    assert (None if fact is None else (fact.code, fact.episode)) == (episode and (C.RULES_PAUSED, episode))


def test_only_what_is_not_numbered_by_a_version_comes_back_under_the_same_identity() -> None:
    assert {code for code in NoticeCode if comes_back(code)} == {C.TOKEN_EXPIRING, C.RULES_PAUSED}


@pytest.mark.parametrize(
    ("held", "new", "closer"),
    [
        ("14d", "7d", True),
        ("1d", "6h", True),
        ("7d", "7d", False),
        ("1h", "1d", False),
        ("", "7d", True),
        ("7d", "", False),
    ],
)
def test_stages_only_come_closer(held: str, new: str, closer: bool) -> None:
    assert escalates(held, new) is closer


def test_a_stages_length() -> None:
    assert [stage_length(stage) for stage in ("2d", "3h", "5m")] == [
        timedelta(days=2),
        timedelta(hours=3),
        timedelta(minutes=5),
    ]


@pytest.mark.parametrize(
    ("code", "left", "critical"),
    [
        (C.TOKEN_REVOKED, None, True),
        (C.TOKEN_EXPIRED, None, True),
        (C.TOKEN_EXPIRING, timedelta(days=1), True),
        (C.TOKEN_EXPIRING, timedelta(days=1, seconds=1), False),
        (C.PLATFORM_INCIDENT, None, False),
        (C.DATA_GAP, None, False),
    ],
)
def test_critical(code: NoticeCode, left: timedelta | None, critical: bool) -> None:
    assert is_critical(code, None if left is None else NOW + left, NOW) is critical
