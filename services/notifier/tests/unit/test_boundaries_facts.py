"""Facts, verdicts and the view of a notice, at the edges of time and for every kind of token."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    AccountRef,
    DetectedBy,
    IncidentState,
    NoticeCode,
    RevocationCause,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from notifier.core.conditions import (
    Fact,
    Resolution,
    could_be_the_platform,
    escalates,
    incident_is_over,
    is_critical,
    judge,
    still_worth_saying,
    tell,
)
from notifier.core.notices import Condition, Notice, view
from notifier.core.rendering import ShownGap
from notifier.core.tokens import Reading, Token, TokenAccount, fold

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(days=6)
SECOND = timedelta(seconds=1)
SHOP = TokenAccount(UUID(int=5), "act_1", "Shop")
S, C, K = TokenStatus, NoticeCode, TokenKind


def ref(version: int = 4, kind: TokenKind = K.PLATFORM_OAUTH) -> TokenRef:
    return TokenRef(
        token_id=UUID(int=7),
        kind=kind,
        provider="meta",
        workspace_id=UUID(int=1),
        owner_user_id=UUID(int=2),
        version=version,
        accounts=(AccountRef(account_id=SHOP.account_id, external_id=SHOP.external_id, name=SHOP.name),),
    )


def token(**more: Any) -> Token:
    members: dict[str, Any] = {
        "token_id": UUID(int=7),
        "kind": K.PLATFORM_OAUTH,
        "provider": "meta",
        "workspace_id": UUID(int=1),
        "owner_user_id": UUID(int=2),
        "version": 4,
        "status": S.ACTIVE,
        "expires_at": SOON,
        "accounts": (SHOP,),
    }
    return Token(**(members | more))


def fact(code: NoticeCode = C.TOKEN_EXPIRING, **more: Any) -> Fact:
    members: dict[str, Any] = {
        "subject_id": UUID(int=7),
        "episode": int(SOON.timestamp()),
        "provider": "meta",
        "kind": K.PLATFORM_OAUTH,
        "workspace_id": UUID(int=1),
        "owner_user_id": UUID(int=2),
        "token_id": UUID(int=7),
        "expires_at": SOON,
        "accounts": (SHOP,),
    }
    return Fact(code=code, **(members | more))


def warning(expires_at: datetime = SOON, kind: TokenKind = K.PLATFORM_OAUTH) -> TokenExpiringV1:
    return TokenExpiringV1(token=ref(kind=kind), stage="7d", expires_at=expires_at, remaining_s=10)


@pytest.mark.parametrize("kind", [K.PLATFORM_OAUTH, K.INTEGRATION])
def test_a_warning_names_the_token_the_stage_and_the_accounts(kind: TokenKind) -> None:
    told = tell(token(kind=kind), warning(kind=kind), Reading.KNOWN, NOW)
    assert told.fact == fact(stage="7d", kind=kind)
    assert told.why_not == ""


@pytest.mark.parametrize("kind", [K.SESSION, K.TELEGRAM_LINK])
def test_nobody_is_warned_of_a_session_or_a_link(kind: TokenKind) -> None:
    assert tell(token(kind=kind), warning(kind=kind), Reading.KNOWN, NOW).why_not == "kind"


@pytest.mark.parametrize(("left", "told"), [(-SECOND, False), (timedelta(0), False), (SECOND, True)])
def test_a_warning_is_of_use_until_the_end(left: timedelta, *, told: bool) -> None:
    said = tell(token(expires_at=NOW + left), warning(NOW + left), Reading.KNOWN, NOW)
    assert (said.fact is not None) is told


@pytest.mark.parametrize(
    ("age", "told"), [(timedelta(0), True), (timedelta(days=7), True), (timedelta(days=7, seconds=1), False)]
)
def test_a_death_is_told_for_seven_days(age: timedelta, *, told: bool) -> None:
    body = TokenStateV1(token=ref(), status=S.REVOKED, since=NOW - age, cause=RevocationCause.USER_REVOKED)
    said = tell(token(status=S.REVOKED, cause=RevocationCause.USER_REVOKED, outage=4), body, Reading.NEWS, NOW)
    assert (said.fact is not None) is told
    assert said.why_not == ("" if told else "old_news")


def test_a_revocation_tells_how_it_was_seen_and_which_death_it_is() -> None:
    dead, reading = fold(
        token(version=3),
        TokenRevokedV1(token=ref(), cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE),
    )
    body = TokenRevokedV1(token=ref(), cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE)
    assert tell(dead, body, reading, NOW).fact == fact(
        C.TOKEN_REVOKED, episode=4, cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE
    )


@pytest.mark.parametrize(
    ("kind", "code", "why_not"),
    [
        (K.PLATFORM_OAUTH, C.TOKEN_EXPIRED, ""),
        (K.INTEGRATION, C.TOKEN_EXPIRED, ""),
        (K.SESSION, None, "no_fact"),
        (K.TELEGRAM_LINK, None, "no_fact"),
    ],
)
def test_only_a_connection_that_ran_out_is_news(kind: TokenKind, code: NoticeCode | None, why_not: str) -> None:
    body = TokenExpiredV1(token=ref(kind=kind), expired_at=SOON)
    said = tell(token(kind=kind, status=S.EXPIRED), body, Reading.NEWS, NOW)
    assert (said.fact.code if said.fact else None, said.why_not) == (code, why_not)


def test_what_is_stale_is_no_fact_whatever_it_says() -> None:
    assert tell(token(), warning(), Reading.STALE, NOW).why_not == "stale"


@pytest.mark.parametrize(
    ("code", "spoke_of", "held", "resolution"),
    [
        pytest.param(C.TOKEN_EXPIRING, SOON, token(expires_at=SOON + SECOND), Resolution.RENEWED, id="a second later"),
        pytest.param(C.TOKEN_EXPIRING, SOON, token(expires_at=SOON), None, id="the same date"),
        pytest.param(C.TOKEN_EXPIRING, SOON, token(expires_at=SOON - SECOND), Resolution.SUPERSEDED, id="closer now"),
        pytest.param(C.TOKEN_EXPIRING, None, token(), Resolution.RENEWED, id="the notice spoke of no date"),
        pytest.param(C.TOKEN_EXPIRED, None, token(status=S.EXPIRED), Resolution.SUPERSEDED, id="a date is known now"),
        pytest.param(C.TOKEN_EXPIRED, SOON, token(status=S.DEGRADED), None, id="degraded, and not renewed"),
        pytest.param(C.TOKEN_REVOKED, None, token(status=S.EXPIRING), Resolution.RENEWED, id="alive in its last days"),
        pytest.param(C.TOKEN_REVOKED, None, token(status=S.DEGRADED), Resolution.RENEWED, id="alive, if degraded"),
        pytest.param(C.ACCOUNT_ACCESS_LOST, None, token(status=S.DEGRADED), None, id="the grant is alive"),
        pytest.param(C.ACCOUNT_ACCESS_LOST, None, token(status=S.EXPIRED), Resolution.SUPERSEDED, id="grant is dead"),
    ],
)
def test_a_notice_is_over_when_the_present_says_so(
    code: NoticeCode, spoke_of: datetime | None, held: Token, resolution: Resolution | None
) -> None:
    assert judge(code, spoke_of, held) is resolution


@pytest.mark.parametrize(
    ("code", "left", "worth"),
    [
        (C.TOKEN_EXPIRING, SECOND, True),
        (C.TOKEN_EXPIRING, timedelta(0), False),
        (C.TOKEN_EXPIRING, -SECOND, False),
        (C.TOKEN_EXPIRING, None, True),
        (C.TOKEN_EXPIRED, -SECOND, True),
        (C.DATA_GAP, -SECOND, True),
    ],
)
def test_expires_in_is_wrong_once_it_has(code: NoticeCode, left: timedelta | None, *, worth: bool) -> None:
    assert still_worth_saying(code, None if left is None else NOW + left, NOW) is worth


@pytest.mark.parametrize(
    ("code", "left", "critical"),
    [
        (C.TOKEN_EXPIRING, None, False),
        (C.TOKEN_EXPIRING, timedelta(hours=1), True),
        (C.TOKEN_EXPIRED, timedelta(days=9), True),
        (C.ACCOUNT_ACCESS_LOST, timedelta(hours=1), False),
        (C.TELEGRAM_BROKEN, timedelta(hours=1), False),
    ],
)
def test_only_the_last_day_of_a_warning_and_what_is_dead_pass_quiet_hours(
    code: NoticeCode, left: timedelta | None, *, critical: bool
) -> None:
    assert is_critical(code, None if left is None else NOW + left, NOW) is critical


def test_a_stage_is_compared_by_its_length_and_not_by_its_spelling() -> None:
    assert escalates("2d", "47h")
    assert not escalates("1d", "24h")
    assert not escalates("24h", "1d")
    assert escalates("1h", "59m")
    assert not escalates("", "")


@pytest.mark.parametrize("how", [None, *DetectedBy])
def test_a_platforms_trouble_shows_in_calls_that_it_refused(how: DetectedBy | None) -> None:
    refused = {DetectedBy.REFRESH, DetectedBy.PROBE, DetectedBy.REPORT}
    assert could_be_the_platform(how) is (how in refused)


def test_an_incident_is_over_when_it_is_closed() -> None:
    assert [incident_is_over(state) for state in (IncidentState.OPENED, IncidentState.CLOSED)] == [False, True]


def condition(**more: Any) -> Condition:
    members: dict[str, Any] = {
        "condition_id": UUID(int=8),
        "fact": fact(stage="1d", expires_at=NOW + timedelta(days=1)),
        "raised_at": NOW,
        "updated_at": NOW,
    }
    return Condition(**(members | more))


def notice(of: Condition) -> Notice:
    return Notice(
        notice_id=UUID(int=9),
        user_id=UUID(int=2),
        workspace_id=UUID(int=1),
        version=1,
        created_at=NOW,
        read_at=None,
        condition=of,
    )


def test_a_condition_is_open_until_it_is_resolved() -> None:
    assert condition().open
    assert condition().code is C.TOKEN_EXPIRING
    assert not condition(resolved_at=NOW, resolution=Resolution.RENEWED).open


def test_the_view_of_a_warning_has_all_that_its_words_need() -> None:
    seen = view(notice(condition()), token=None, role="member", rules_paused=2, gaps=(), now=NOW)
    assert (seen.notice_id, seen.code, seen.stage) == (UUID(int=9), C.TOKEN_EXPIRING, "1d")
    assert (seen.account_names, seen.rules_paused, seen.critical, seen.can_fix) == (("Shop",), 2, True, True)
    assert (seen.raised_at, seen.resolved_at, seen.resolution) == (NOW, None, None)
    assert not view(notice(condition()), token=None, role="member", rules_paused=2, gaps=(), now=NOW - SECOND).critical


def test_a_notice_without_accounts_takes_those_of_the_token_if_it_is_known() -> None:
    bare = notice(condition(fact=fact(accounts=())))
    named, unknown = (
        view(bare, token=held, role="owner", rules_paused=0, gaps=(), now=NOW).account_names for held in (token(), None)
    )
    assert (named, unknown) == (("Shop",), ())


def test_an_incident_speaks_of_no_paused_rules() -> None:
    incident = notice(condition(fact=fact(C.PLATFORM_INCIDENT, token_id=None, tokens_affected=40)))
    seen = view(incident, token=None, role="owner", rules_paused=3, gaps=(), now=NOW)
    assert (seen.rules_paused, seen.tokens_affected) == (0, 40)


@pytest.mark.parametrize(("code", "shown"), [(C.TOKEN_REVOKED, 2), (C.DATA_GAP, 3)])
def test_gaps_that_were_over_before_the_notice_belong_only_to_a_notice_of_gaps(code: NoticeCode, shown: int) -> None:
    gaps = [ShownGap("Shop", NOW - timedelta(hours=9), NOW + timedelta(seconds=s)) for s in (-1, 0, 1)]
    seen = view(notice(condition(fact=fact(code))), token=None, role="owner", rules_paused=0, gaps=gaps, now=NOW)
    assert seen.gaps == tuple(gaps[3 - shown :])


@pytest.mark.parametrize(
    ("kind", "role", "can_fix"),
    [
        (K.INTEGRATION, "owner", True),
        (K.INTEGRATION, "admin", True),
        (K.INTEGRATION, "member", False),
        (K.PLATFORM_OAUTH, "member", True),
    ],
)
def test_an_integration_takes_an_admin_to_fix(kind: TokenKind, role: str, *, can_fix: bool) -> None:
    of = notice(condition(fact=fact(kind=kind)))
    assert view(of, token=None, role=role, rules_paused=0, gaps=(), now=NOW).can_fix is can_fix
