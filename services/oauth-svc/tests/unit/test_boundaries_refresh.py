"""What an outcome settles, to the figure; how answers are read at their limits; and what is weighed as evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import DetectedBy, RevocationCause, TokenKind, Verdict
from common.platforms.errors import (
    Failure,
    by_status,
    lost_access,
    our_bug,
    rate_limited,
    reauthorize,
    retry_later,
    unknown_outcome,
)
from oauth_svc.core import refresh as rules
from oauth_svc.core.breaker import FleetEvidence
from oauth_svc.core.changes import RanOut, Refreshed, RefreshFailed, Revoked
from oauth_svc.core.errors import LoginBudgetError, RefusalError, StateUsedError, UnsafeReturnError
from oauth_svc.core.flow import Budget, Flow, FormField, OnUnknown, Profile
from oauth_svc.core.grant import (
    SAME_END,
    MalformedAnswerError,
    TokenAnswer,
    local_return,
    read_token_answer,
    scope_set,
    seconds,
)
from oauth_svc.core.refresh import AttemptState, Facts
from oauth_svc.core.roles import AdminOnlyError, WorkspaceCaller, must_manage
from oauth_svc.core.schedule import refresh_at, retry_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
GRANT = UUID(int=1)
REFRESH = Profile("acme", "Acme", TokenKind.PLATFORM_OAUTH, Flow.REFRESH)
SWAP = replace(REFRESH, flow=Flow.SWAP)
FACTS = Facts(
    connection_id=GRANT,
    generation_sent=3,
    generation_now=3,
    attempt=3,
    access_expires_at=NOW + HOUR,
    expires_at=None,
    authorized_at=NOW,
)
GONE = reauthorize("gone", RevocationCause.USER_REVOKED)


def answer(**more: Any) -> TokenAnswer:
    members: dict[str, Any] = {"access_token": "a", "issued_at": NOW, "expires_at": NOW + HOUR}
    return TokenAnswer(**(members | more))


def test_a_refresh_settles_everything_anew() -> None:
    settled = rules.renewed(REFRESH, FACTS, answer(), rotated=True, scopes_missing=("x",))
    assert settled.change == Refreshed(NOW + HOUR, None, rotated=True, scopes_missing=("x",))
    assert (settled.state, settled.attempt, settled.outcome) == (AttemptState.PROMOTED, 0, "refreshed")
    assert settled.refresh_at == refresh_at(GRANT, NOW, NOW + HOUR)


@pytest.mark.parametrize(
    ("stated", "held", "unknown_before", "full"),
    [
        pytest.param(None, NOW + DAY, 0, NOW + DAY, id="the answer is silent: what is held stays"),
        pytest.param(None, NOW + DAY, 1, None, id="what we shortened ourselves goes"),
        pytest.param(NOW + 2 * DAY, NOW + DAY, 0, NOW + 2 * DAY, id="the platform's figure counts"),
        pytest.param(NOW + 2 * DAY, NOW + DAY, 1, NOW + 2 * DAY, id="after a lost answer too"),
        pytest.param(None, None, 0, None, id="no end is known"),
    ],
)
def test_full_expiry_after_a_refresh(
    stated: datetime | None, held: datetime | None, unknown_before: int, full: datetime | None
) -> None:
    facts = replace(FACTS, expires_at=held, unknown_before=unknown_before)
    settled = rules.renewed(REFRESH, facts, answer(grant_expires_at=stated), rotated=False)
    assert isinstance(settled.change, Refreshed)
    assert settled.change.expires_at == full


@pytest.mark.parametrize(
    ("moved_by", "age", "planned"),
    [
        pytest.param(2 * SAME_END, timedelta(0), True, id="it moved"),
        pytest.param(SAME_END + SECOND, 59 * DAY, True, id="it moved by more than rounding"),
        pytest.param(SAME_END, 59 * DAY, False, id="rounding is no move"),
        pytest.param(timedelta(0), timedelta(0), True, id="fresh: the next try is far enough off"),
        pytest.param(timedelta(0), 56 * DAY, True, id="four days are left: 2.7 to the next try, 2 at least"),
        pytest.param(timedelta(0), 58 * DAY, False, id="two days are left: 1.3 to the next try"),
    ],
)
def test_a_swap_that_moves_nothing_stops_near_the_end(moved_by: timedelta, age: timedelta, *, planned: bool) -> None:
    end = NOW + 60 * DAY
    facts = replace(FACTS, access_expires_at=end - moved_by, authorized_at=NOW)
    given = answer(issued_at=NOW + age, expires_at=end)
    settled = rules.renewed(SWAP, facts, given, rotated=False)
    assert settled.refresh_at == (refresh_at(GRANT, NOW + age, end) if planned else None)


@pytest.mark.parametrize(("older_by", "planned"), [(timedelta(0), True), (SECOND, False)])
def test_the_next_swap_is_a_thirtieth_of_the_time_since_the_consent_away_at_least(
    older_by: timedelta, *, planned: bool
) -> None:
    end = NOW + 9 * DAY
    at = refresh_at(GRANT, NOW, end)
    assert at is not None
    facts = replace(FACTS, access_expires_at=end, authorized_at=end - 30 * (at - NOW) - older_by)
    settled = rules.renewed(SWAP, facts, answer(expires_at=end), rotated=False)
    assert settled.refresh_at == (at if planned else None)


def test_only_a_swap_stops() -> None:
    late = answer(issued_at=NOW + 59 * DAY, expires_at=NOW + 60 * DAY)
    facts = replace(FACTS, access_expires_at=NOW + 60 * DAY)
    assert rules.renewed(REFRESH, facts, late, rotated=False).refresh_at is not None


@pytest.mark.parametrize("held", [None, NOW + HOUR])
def test_a_swap_without_an_end_is_not_planned_and_one_that_had_none_has_moved(held: datetime | None) -> None:
    facts = replace(FACTS, access_expires_at=held)
    assert rules.renewed(SWAP, facts, answer(expires_at=None), rotated=False).refresh_at is None
    late = answer(issued_at=NOW + 59 * DAY, expires_at=NOW + 60 * DAY)
    assert rules.renewed(SWAP, replace(FACTS, access_expires_at=None), late, rotated=False).refresh_at is not None


def test_a_death_is_settled_for_good_and_says_how_it_was_seen() -> None:
    settled = rules.failed(REFRESH, FACTS, GONE, NOW)
    assert settled == rules.Settlement(
        AttemptState.FAILED,
        Revoked(RevocationCause.USER_REVOKED, DetectedBy.REFRESH, "reauthorize:gone"),
        None,
        0,
        "reauthorize:gone",
    )
    ran_out = rules.failed(REFRESH, FACTS, reauthorize("old", ran_out=True), NOW)
    assert (ran_out.change, ran_out.refresh_at, ran_out.attempt) == (RanOut(), None, 0)


@pytest.mark.parametrize("generation", [2, 4])
def test_a_refusal_of_a_credential_that_was_replaced_proves_nothing(generation: int) -> None:
    stale = replace(FACTS, generation_now=generation)
    assert rules.failed(REFRESH, stale, GONE, NOW) == rules.Settlement(
        AttemptState.SUPERSEDED, None, NOW, 3, "reauthorize:gone"
    )
    trouble = rules.failed(REFRESH, stale, retry_later("x"), NOW)
    assert trouble.state is AttemptState.FAILED, "trouble is trouble, whichever credential met it"


@pytest.mark.parametrize(
    ("flow", "rule", "may"),
    [
        (Flow.REFRESH, OnUnknown.WAIT, True),
        (Flow.REFRESH, OnUnknown.INTROSPECT, True),
        (Flow.REFRESH, OnUnknown.REPEAT, False),
        (Flow.SWAP, OnUnknown.WAIT, False),
        (Flow.LOGIN, OnUnknown.PROBE_THEN_REPEAT, False),
        (Flow.REFRESH, OnUnknown.IF_PROVEN, True),
    ],
)
def test_only_a_refresh_token_may_have_been_rotated_by_a_lost_answer(flow: Flow, rule: OnUnknown, *, may: bool) -> None:
    profile = replace(REFRESH, flow=flow, on_unknown=rule)
    assert rules.may_have_rotated(profile) is may
    settled = rules.failed(profile, replace(FACTS, unknown_before=1), GONE, NOW)
    assert isinstance(settled.change, RefreshFailed) is may
    if may:
        assert (settled.state, settled.attempt, settled.refresh_at) == (AttemptState.FAILED, 4, None)


def test_what_is_held_lives_as_long_as_its_access_token() -> None:
    settled = rules.failed(REFRESH, FACTS, unknown_outcome("timeout"), NOW)
    assert settled == rules.Settlement(
        AttemptState.UNKNOWN,
        RefreshFailed(Verdict.UNKNOWN_OUTCOME, "timeout", 4, None, shorten_to=NOW + HOUR),
        None,
        4,
        "unknown_outcome:timeout",
    )


def test_what_is_tried_later_says_when() -> None:
    settled = rules.failed(REFRESH, FACTS, rate_limited("http_429", retry_after_s=600), NOW)
    at = retry_at(GRANT, 4, NOW, retry_after_s=600)
    assert settled == rules.Settlement(
        AttemptState.FAILED,
        RefreshFailed(Verdict.RATE_LIMITED, "http_429", 4, at),
        at,
        4,
        "rate_limited:http_429",
    )


@pytest.mark.parametrize(("attempt", "wait"), [(0, timedelta(minutes=5)), (20, None)])
def test_our_own_mistake_is_left_alone_for_five_minutes_at_least(attempt: int, wait: timedelta | None) -> None:
    settled = rules.failed(REFRESH, replace(FACTS, attempt=attempt), our_bug("invalid_client"), NOW)
    assert settled.refresh_at == (NOW + wait if wait else retry_at(GRANT, attempt + 1, NOW))


@pytest.mark.parametrize("rule", list(OnUnknown))
def test_nothing_is_asked_before_anything_was_lost(rule: OnUnknown) -> None:
    profile = replace(REFRESH, on_unknown=rule)
    assert not rules.asks_first(profile, 0)
    assert rules.asks_first(profile, 1) is (rule in {OnUnknown.PROBE_THEN_REPEAT, OnUnknown.INTROSPECT})


def test_a_probe_ends_a_grant_only_when_the_platform_says_so() -> None:
    assert rules.ended(GONE, DetectedBy.PROBE) == Revoked(
        RevocationCause.USER_REVOKED, DetectedBy.PROBE, "reauthorize:gone"
    )
    assert rules.ended(reauthorize("old", ran_out=True), DetectedBy.PROBE) == RanOut()
    assert rules.ended(reauthorize("gone", None), DetectedBy.PROBE) == Revoked(
        None, DetectedBy.PROBE, "reauthorize:gone"
    ), "nobody said why, which is no full expiry and nobody's doing"
    for verdict in set(Verdict) - {Verdict.REAUTHORIZE}:
        assert rules.ended(Failure(verdict, "x"), DetectedBy.PROBE) is None


def test_who_can_help_and_who_is_called() -> None:
    assert [verdict for verdict in Verdict if verdict.only_a_person_helps] == [Verdict.REAUTHORIZE]
    assert [verdict for verdict in Verdict if verdict.pages_operators] == [Verdict.OUR_BUG]


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None),
        (399, None),
        (400, retry_later("http_400", retry_after_s=7, unrecognised=True)),
        (407, retry_later("http_407", retry_after_s=7, unrecognised=True)),
        (408, retry_later("http_408", retry_after_s=7)),
        (409, retry_later("http_409", retry_after_s=7)),
        (425, retry_later("http_425", retry_after_s=7)),
        (428, retry_later("http_428", retry_after_s=7, unrecognised=True)),
        (429, rate_limited("http_429", retry_after_s=7)),
        (430, retry_later("http_430", retry_after_s=7, unrecognised=True)),
        (499, retry_later("http_499", retry_after_s=7, unrecognised=True)),
        (500, retry_later("http_500", retry_after_s=7)),
        (503, retry_later("http_503", retry_after_s=7)),
    ],
)
def test_a_status_alone_ends_nothing(status: int, failure: Failure | None) -> None:
    assert by_status(status, retry_after_s=7) == failure


def test_a_failure_is_no_more_than_what_was_said() -> None:
    for made in (retry_later("x"), rate_limited("x"), lost_access("x"), our_bug("x"), unknown_outcome("x")):
        assert made == Failure(made.verdict, "x")
    assert reauthorize("x", None) == Failure(Verdict.REAUTHORIZE, "x")
    assert reauthorize("x", None, refresh_first=True) == Failure(Verdict.REAUTHORIZE, "x", refresh_first=True)


@pytest.mark.parametrize(
    ("value", "found"),
    [(0.5, 0.5), (1, 1.0), ("1", 1.0), (0, None), (-1, None), (False, None), (10**10, 1e10), ("", None)],
)
def test_seconds_are_read_up_to_ten_thousand_million(value: object, found: float | None) -> None:
    assert seconds(value) == found


@pytest.mark.parametrize("value", [10**10 + 1, float("inf"), float("nan"), "nan", {}])
def test_a_span_beyond_any_calendar_states_no_end(value: object) -> None:
    assert seconds(value) is None


@pytest.mark.parametrize(
    ("ends", "refreshed", "expected"),
    [
        (NOW + HOUR, NOW - HOUR, NOW + 2 * HOUR),
        (NOW, NOW - HOUR / 2, NOW + HOUR / 2),
        (NOW - HOUR, NOW, NOW + HOUR),
        (None, NOW, None),
    ],
    ids=["as long as the last", "just ended", "cannot be told", "never stated"],
)
def test_an_answer_without_a_life_keeps_the_last_stated_one(
    ends: datetime | None, refreshed: datetime, expected: datetime | None
) -> None:
    facts = replace(FACTS, access_expires_at=ends, last_refreshed_at=refreshed)
    settled = rules.renewed(REFRESH, facts, TokenAnswer("a", issued_at=NOW), rotated=False)
    assert isinstance(settled.change, Refreshed)
    assert settled.change.access_expires_at == expected
    assert (settled.refresh_at is None) is (expected is None)


def test_an_answer_is_read_whole() -> None:
    body = {
        "access_token": "a",
        "refresh_token": "r",
        "expires_in": 60,
        "refresh_token_expires_in": "120",
        "refresh_expires_in": 5,
        "scope": "x,y",
        "id_token": "i",
    }
    assert read_token_answer(body, NOW, scope_separator=",") == TokenAnswer(
        "a", "r", NOW, NOW + 60 * SECOND, NOW + 120 * SECOND, frozenset({"x", "y"}), None, "i"
    )
    other = read_token_answer({"access_token": "a", "refresh_token": "", "refresh_expires_in": 5}, NOW)
    assert (other.refresh_token, other.grant_expires_at, other.scopes) == (None, NOW + 5 * SECOND, None)


def test_a_token_is_stored_up_to_16384_characters() -> None:
    assert read_token_answer({"access_token": "x" * 16_384}, NOW).access_token
    with pytest.raises(MalformedAnswerError, match="no usable access_token"):
        read_token_answer({"access_token": "x" * 16_385}, NOW)


def test_a_list_of_scopes_is_one_of_words() -> None:
    assert scope_set(["a", ["b"]]) is None
    assert scope_set([]) == frozenset()
    assert scope_set("a\tb  c") == frozenset({"a", "b", "c"})


def test_a_way_back_is_512_characters_long_at_most() -> None:
    longest = "/" + "a" * 511
    assert local_return(longest) == longest
    with pytest.raises(UnsafeReturnError):
        local_return(longest + "a")


def test_a_refusal_says_its_own_words_unless_it_is_given_others() -> None:
    assert str(StateUsedError()) == "A consent that was already used, and whose outcome is not known."
    assert StateUsedError().fix == "Look at your connections; if it is not there, start again."
    assert (str(StateUsedError("x", fix="y")), StateUsedError("x", fix="y").fix) == ("x", "y")
    assert str(RefusalError()) == "A rule says no. `code` is stable and public; `fix` says in words what helps."
    assert LoginBudgetError(free_at=NOW).fix == "Nothing was sent. Try again after 12:00 UTC."
    assert LoginBudgetError().fix == "Nothing was sent. Try again later."


@pytest.mark.parametrize(
    ("kind", "role", "may"),
    [
        (TokenKind.INTEGRATION, "owner", True),
        (TokenKind.INTEGRATION, "admin", True),
        (TokenKind.INTEGRATION, "member", False),
        (TokenKind.INTEGRATION, "support_admin", False),
        (TokenKind.PLATFORM_OAUTH, "member", True),
    ],
)
def test_an_integration_takes_an_admin_or_the_owner(kind: TokenKind, role: str, *, may: bool) -> None:
    caller = WorkspaceCaller(UUID(int=1), UUID(int=2), "s", role)
    if may:
        must_manage(kind, caller.role)
    else:
        with pytest.raises(AdminOnlyError):
            must_manage(kind, caller.role)


def test_a_provider_of_which_little_is_said_is_treated_with_care() -> None:
    """Nothing is repeated, nothing is revoked, and the access token goes where RFC 6750 puts it."""
    assert (REFRESH.on_unknown, REFRESH.revoke_scope.value, REFRESH.pkce) == (OnUnknown.WAIT, "none", False)
    assert (REFRESH.access_header, REFRESH.access_scheme) == ("Authorization", "Bearer")
    assert (REFRESH.requests_per_s, REFRESH.burst, REFRESH.total_timeout_s) == (20, 40, 10)
    assert (REFRESH.probe_every, REFRESH.needs_accounts) == (HOUR, True)


def test_what_follows_from_a_profile() -> None:
    form = replace(REFRESH, form=(FormField("user", "User name"),), family="acme-group", features={"ads": "Ads"})
    assert (REFRESH.by_consent, form.by_consent) == (True, False)
    assert (REFRESH.subject_family, form.subject_family) == ("acme", "acme-group")
    assert (REFRESH.needed_scopes, form.needed_scopes) == (frozenset[str](), frozenset({"ads"}))
    assert [flow for flow in Flow if flow.presents_credentials] == [Flow.CLIENT_CREDENTIALS, Flow.LOGIN]
    assert not form.form[0].secret
    assert Budget(2, HOUR).calls == 2


def evidence(*outcomes: Verdict | None, grants: int = 4) -> FleetEvidence:
    found = FleetEvidence(timedelta(seconds=60), grants)
    for number, verdict in enumerate(outcomes):
        found.note(UUID(int=number), verdict, NOW)
    return found


def test_four_of_five_convict_and_the_most_frequent_trouble_is_named() -> None:
    later, bug = Verdict.RETRY_LATER, Verdict.OUR_BUG
    assert evidence(*[later] * 4, None).verdict(NOW) is Verdict.RETRY_LATER
    assert evidence(*[later] * 4, None, None).verdict(NOW) is None
    assert evidence(*[later] * 2, *[bug] * 3).verdict(NOW) is Verdict.OUR_BUG
    assert evidence(*[later] * 3, *[bug] * 2).verdict(NOW) is Verdict.RETRY_LATER


def test_a_grant_counts_with_its_latest_outcome() -> None:
    found = evidence(*[Verdict.RETRY_LATER] * 4)
    found.note(UUID(int=0), None, NOW)
    assert found.verdict(NOW) is None
    assert found.affected() == 4, "it was affected nevertheless"
    found.clear()
    assert (found.affected(), found.verdict(NOW)) == (0, None)


def test_evidence_leaves_the_window_one_by_one() -> None:
    found = FleetEvidence(timedelta(seconds=60), 2)
    for number, at in enumerate((0, 1, 61)):
        found.note(UUID(int=number), Verdict.RETRY_LATER, NOW + timedelta(seconds=at))
    assert found.affected() == 2
    assert found.verdict(NOW + timedelta(seconds=61)) is Verdict.RETRY_LATER
    assert found.verdict(NOW + timedelta(seconds=62)) is None


def test_evidence_is_bounded_and_the_newest_stays() -> None:
    found = evidence(*[Verdict.RETRY_LATER] * 300, grants=4)
    assert found.affected() == 4 * 4 + 256
    found.note(UUID(int=999), None, NOW)
    assert found.affected() == 4 * 4 + 255
    assert evidence(*[Verdict.RETRY_LATER] * 600, grants=64).affected() == 4 * 64 + 256
