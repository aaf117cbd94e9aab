"""What becomes of a grant after each outcome of a refresh."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import RevocationCause, TokenKind, Verdict
from common.platforms.errors import Failure, our_bug, rate_limited, reauthorize, retry_later, unknown_outcome
from oauth_svc.core import refresh as rules
from oauth_svc.core.changes import Doubted, RanOut, Refreshed, RefreshFailed, Revoked
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.core.refresh import AttemptState, Facts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = NOW + timedelta(hours=1)
PROFILE = Profile("acme", "Acme", TokenKind.PLATFORM_OAUTH, Flow.REFRESH)
FACTS = Facts(UUID(int=1), 3, 3, 0, HOUR, None, NOW - timedelta(minutes=40))


def on(rule: OnUnknown) -> Profile:
    return replace(PROFILE, on_unknown=rule)


def test_invalid_grant_is_believed_only_while_the_credential_is_the_same() -> None:
    refusal = reauthorize("invalid_grant", RevocationCause.USER_REVOKED)
    believed = rules.failed(PROFILE, FACTS, refusal, NOW)
    assert isinstance(believed.change, Revoked)
    assert (believed.state, believed.refresh_at) == (AttemptState.FAILED, None)
    stale = rules.failed(PROFILE, replace(FACTS, generation_now=4), refusal, NOW)
    assert (stale.state, stale.change, stale.refresh_at) == (AttemptState.SUPERSEDED, None, NOW)


def test_a_doubted_refusal_ends_nothing_and_lapses() -> None:
    refusal = reauthorize("invalid_grant", RevocationCause.USER_REVOKED)
    settled = rules.failed(PROFILE, replace(FACTS, doubted=True), refusal, NOW)
    assert settled.change == Doubted("invalid_grant")
    assert (settled.attempt, settled.refresh_at) == (1, NOW + timedelta(hours=1))
    stale = rules.failed(PROFILE, replace(FACTS, doubted=True, generation_now=4), refusal, NOW)
    assert stale.change is None, "a refusal of a credential that was replaced is not even a doubt"


@pytest.mark.parametrize(
    ("cause", "known", "told"),
    [
        (RevocationCause.USER_REVOKED, False, RevocationCause.USER_REVOKED),
        (RevocationCause.USER_REVOKED, True, RevocationCause.PLATFORM_ENFORCED),
        (RevocationCause.COMPROMISE, True, RevocationCause.COMPROMISE),
        (None, True, RevocationCause.PLATFORM_ENFORCED),
    ],
)
def test_a_known_reconsent_gives_the_cause_unless_the_platform_is_more_exact(
    cause: RevocationCause | None, known: bool, told: RevocationCause
) -> None:
    settled = rules.failed(PROFILE, replace(FACTS, in_reconsent=known), reauthorize("x", cause), NOW)
    assert isinstance(settled.change, Revoked)
    assert settled.change.cause is told
    assert settled.refresh_at is None


def test_refusal_without_a_culprit_is_full_expiry() -> None:
    assert isinstance(rules.failed(PROFILE, FACTS, reauthorize("190/463", ran_out=True), NOW).change, RanOut)


def test_refusal_after_a_lost_answer_holds_instead_of_revoking() -> None:
    refusal = reauthorize("invalid_grant", RevocationCause.USER_REVOKED)
    held = rules.failed(on(OnUnknown.IF_PROVEN), replace(FACTS, unknown_before=1), refusal, NOW)
    assert isinstance(held.change, RefreshFailed)
    assert (held.change.class_, held.change.shorten_to) == (Verdict.UNKNOWN_OUTCOME, HOUR)
    safe = rules.failed(on(OnUnknown.REPEAT), replace(FACTS, unknown_before=1), refusal, NOW)
    assert isinstance(safe.change, Revoked), "where nothing rotates, a refusal is a refusal"
    assert safe.change.cause is None, "but accuses nobody"


@pytest.mark.parametrize(
    ("rule", "before", "may", "asks"),
    [
        (OnUnknown.WAIT, 0, False, False),
        (OnUnknown.WAIT, 1, False, False),
        (OnUnknown.REPEAT, 5, True, False),
        (OnUnknown.PROBE_THEN_REPEAT, 5, True, True),
        (OnUnknown.IF_PROVEN, 1, False, False),
        (OnUnknown.INTROSPECT, 5, True, True),
        (OnUnknown.INTROSPECT, 0, True, False),
    ],
)
def test_rules_for_unknown_outcomes(rule: OnUnknown, before: int, may: bool, asks: bool) -> None:
    assert rules.may_repeat(on(rule)) is may
    assert rules.asks_first(on(rule), before) is asks


@pytest.mark.parametrize("proven", [False, True])
def test_where_rotation_is_not_known_only_a_credential_that_was_kept_before_is_presented_again(proven: bool) -> None:
    profile = on(OnUnknown.IF_PROVEN)
    assert rules.may_repeat(profile, proven=proven) is proven
    settled = rules.failed(profile, replace(FACTS, proven=proven), unknown_outcome("http_504"), NOW)
    assert (settled.refresh_at is not None) is proven


HURTS = (OnUnknown.WAIT, OnUnknown.IF_PROVEN, OnUnknown.INTROSPECT, OnUnknown.PROBE_THEN_REPEAT)


@pytest.mark.parametrize("rule", HURTS)
def test_trouble_of_the_platform_leaves_open_what_became_of_a_request_that_must_not_be_repeated(
    rule: OnUnknown,
) -> None:
    assert rules.outcome(on(rule), retry_later("http_503"), sent=True) == unknown_outcome("http_503")


@pytest.mark.parametrize(
    ("profile", "failure", "sent"),
    [
        (on(OnUnknown.WAIT), retry_later("no_connection"), False),
        (on(OnUnknown.REPEAT), retry_later("http_503"), True),
        (replace(on(OnUnknown.PROBE_THEN_REPEAT), flow=Flow.SWAP), retry_later("2"), True),
        (on(OnUnknown.WAIT), retry_later("99999", unrecognised=True), True),
        (on(OnUnknown.WAIT), rate_limited("http_429"), True),
        (on(OnUnknown.WAIT), our_bug("invalid_client"), True),
        (on(OnUnknown.WAIT), reauthorize("invalid_grant", None), True),
    ],
)
def test_what_never_left_was_refused_or_does_no_harm_is_what_it_says(
    profile: Profile, failure: Failure, sent: bool
) -> None:
    assert rules.outcome(profile, failure, sent=sent) == failure


@pytest.mark.parametrize("rule", list(OnUnknown))
@pytest.mark.parametrize("flow", list(Flow))
def test_no_refusal_after_an_unknown_outcome_accuses_a_person(rule: OnUnknown, flow: Flow) -> None:
    refusal = reauthorize("invalid_grant", RevocationCause.USER_REVOKED)
    settled = rules.failed(replace(on(rule), flow=flow), replace(FACTS, unknown_before=1), refusal, NOW)
    assert not (isinstance(settled.change, Revoked) and settled.change.cause is RevocationCause.USER_REVOKED)


@pytest.mark.parametrize("rule", list(OnUnknown))
def test_unknown_outcome_is_never_a_death(rule: OnUnknown) -> None:
    settled = rules.failed(on(rule), FACTS, unknown_outcome("timeout"), NOW)
    assert settled.state is AttemptState.UNKNOWN
    assert isinstance(settled.change, RefreshFailed)
    held = rule in (OnUnknown.WAIT, OnUnknown.IF_PROVEN)
    assert (settled.refresh_at is None) is held
    assert settled.change.shorten_to == (HOUR if held else None)


def test_what_the_platform_calls_spent_is_final() -> None:
    failure = replace(unknown_outcome("spent"), final=True)
    assert rules.failed(on(OnUnknown.INTROSPECT), FACTS, failure, NOW).refresh_at is None


@pytest.mark.parametrize(
    ("failure", "class_", "at_least"),
    [
        (retry_later("http_503"), Verdict.RETRY_LATER, timedelta(seconds=3)),
        (rate_limited("http_429", retry_after_s=120), Verdict.RATE_LIMITED, timedelta(seconds=120)),
        (our_bug("invalid_client"), Verdict.OUR_BUG, timedelta(minutes=5)),
    ],
)
def test_passing_trouble_is_waited_for(failure: Failure, class_: Verdict, at_least: timedelta) -> None:
    settled = rules.failed(PROFILE, FACTS, failure, NOW)
    assert isinstance(settled.change, RefreshFailed)
    assert (settled.change.class_, settled.attempt) == (class_, 1)
    assert settled.refresh_at is not None
    assert settled.refresh_at - NOW >= at_least
    assert settled.change.retry_at == settled.refresh_at


@given(st.sampled_from([v for v in Verdict if v is not Verdict.REAUTHORIZE]), st.integers(0, 50))
def test_only_reauthorize_ends_a_grant(verdict: Verdict, attempt: int) -> None:
    settled = rules.failed(PROFILE, replace(FACTS, attempt=attempt), Failure(verdict, "x"), NOW)
    assert isinstance(settled.change, RefreshFailed)


def answer(**changes: object) -> TokenAnswer:
    base = TokenAnswer("new", "rt2", NOW, HOUR, None)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_refreshed_is_planned_at_two_thirds_and_forgets_the_failures() -> None:
    settled = rules.renewed(PROFILE, replace(FACTS, attempt=7), answer(), rotated=True)
    assert isinstance(settled.change, Refreshed)
    assert (settled.attempt, settled.state) == (0, AttemptState.PROMOTED)
    assert settled.refresh_at is not None
    assert timedelta(minutes=36) < settled.refresh_at - NOW < timedelta(minutes=44)


def test_a_shortened_end_goes_when_a_refresh_succeeds_after_all() -> None:
    shortened = replace(FACTS, expires_at=HOUR, unknown_before=1)
    settled = rules.renewed(PROFILE, shortened, answer(), rotated=True)
    assert isinstance(settled.change, Refreshed)
    assert settled.change.expires_at is None
    stated = rules.renewed(PROFILE, replace(FACTS, expires_at=HOUR), answer(), rotated=True)
    assert isinstance(stated.change, Refreshed)
    assert stated.change.expires_at == HOUR, "an end that the platform stated stays"


def test_a_swapped_token_ends_with_the_earlier_of_two_clocks() -> None:
    swap = replace(PROFILE, flow=Flow.SWAP)
    days = [NOW + timedelta(days=n) for n in (60, 20)]
    settled = rules.renewed(swap, FACTS, answer(expires_at=days[0], grant_expires_at=days[1]), rotated=False)
    assert isinstance(settled.change, Refreshed)
    assert (settled.change.access_expires_at, settled.change.expires_at) == (days[0], days[1])


@pytest.mark.parametrize("off_s", [-9.9, -1.0, -0.3, 0.0, 0.7, 9.9])
def test_an_end_that_a_swap_did_not_move_stays_the_very_same(off_s: float) -> None:
    """Rounded anew with each answer it would be a new end, and people would be warned of it anew."""
    swap = replace(PROFILE, flow=Flow.SWAP)
    end, second_clock = NOW + timedelta(days=13), NOW + timedelta(days=40)
    told = end + timedelta(seconds=off_s)
    facts = replace(FACTS, access_expires_at=end, expires_at=end)
    settled = rules.renewed(swap, facts, answer(expires_at=told, grant_expires_at=second_clock), rotated=False)
    assert isinstance(settled.change, Refreshed)
    assert (settled.change.access_expires_at, settled.change.expires_at) == (end, end)
    by_second = replace(facts, expires_at=second_clock)
    late = answer(expires_at=NOW + timedelta(days=60), grant_expires_at=second_clock + timedelta(seconds=off_s))
    settled = rules.renewed(swap, by_second, late, rotated=False)
    assert isinstance(settled.change, Refreshed)
    assert settled.change.expires_at == second_clock


@pytest.mark.parametrize(("left_s", "moved_s"), [(86_400, 10.1), (86_400, -10.1), (30, 20), (6, 4)])
def test_an_end_that_moved_is_the_new_one_however_short_the_life(left_s: float, moved_s: float) -> None:
    swap = replace(PROFILE, flow=Flow.SWAP)
    told = NOW + timedelta(seconds=left_s)
    before = told - timedelta(seconds=moved_s)
    settled = rules.renewed(
        swap, replace(FACTS, access_expires_at=before, expires_at=before), answer(expires_at=told), rotated=False
    )
    assert isinstance(settled.change, Refreshed)
    assert (settled.change.access_expires_at, settled.change.expires_at) == (told, told)


def test_a_swap_that_moves_nothing_is_not_tried_for_ever() -> None:
    swap = replace(PROFILE, flow=Flow.SWAP)
    end = NOW + timedelta(days=60)
    tries, at = 0, NOW
    while tries < 100:
        facts = replace(FACTS, access_expires_at=end, expires_at=end, authorized_at=NOW)
        settled = rules.renewed(swap, facts, answer(issued_at=at, expires_at=end), rotated=False)
        tries += 1
        if settled.refresh_at is None:
            break
        at = settled.refresh_at
    assert tries < 10


@pytest.mark.parametrize(
    ("flow", "refresh_token", "can"),
    [
        (Flow.REFRESH, "rt", True),
        (Flow.REFRESH, None, False),
        (Flow.SWAP, None, True),
        (Flow.CLIENT_CREDENTIALS, None, True),
        (Flow.LOGIN, None, True),
        (Flow.LASTING, "rt", False),
    ],
)
def test_only_what_can_be_presented_is_renewed(flow: Flow, refresh_token: str | None, can: bool) -> None:
    assert rules.can_renew(replace(PROFILE, flow=flow), Secrets("at", refresh_token)) is can
