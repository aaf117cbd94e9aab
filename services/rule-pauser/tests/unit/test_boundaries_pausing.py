"""Reconciling, one decision a row: what is written, what is said, and what stays as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import RevocationCause, TokenKind
from common.platforms import clause, title_of
from common.runtime.ids import new_id
from rule_pauser.core.pausing import (
    Mode,
    Pause,
    PauseReason,
    Rule,
    RuleActor,
    RuleOutcome,
    Why,
    pause_of,
    reconcile,
    resume_by_hand,
)
from rule_pauser.core.words import fix_words, reason_words

PERSON = RuleActor("01990000-0000-7000-8000-000000000002", "a person", UUID("01990000-0000-7000-8000-000000000002"))

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
FIRST = PauseReason(
    new_id(),
    "Shop",
    new_id(),
    "meta",
    TokenKind.PLATFORM_OAUTH,
    Why.TOKEN_EXPIRED,
    None,
    3,
    NOW,
)
SECOND = replace(FIRST, account_id=new_id(), account_name="Outlet", token_id=new_id(), since=LATER)
RUNNING = Rule(new_id(), new_id(), "Stop losers", enabled=True, revision=4, version=7)
PAUSED = replace(
    RUNNING,
    auto_paused_at=NOW,
    auto_paused_revision=4,
    auto_paused_account=FIRST.account_id,
    auto_paused_token=FIRST.token_id,
    reasons=(FIRST,),
)
ANNOUNCED = Pause(FIRST.account_id, FIRST.token_id, NOW)
FREED: dict[str, Any] = {
    "auto_paused_at": None,
    "auto_paused_revision": None,
    "auto_paused_account": None,
    "auto_paused_token": None,
}
BY_A_PERSON: dict[str, Any] = {"person_paused_at": NOW, "person_paused_by": new_id()}


def test_a_running_rule_pauses_for_the_account_that_failed_first() -> None:
    done = reconcile(RUNNING, (SECOND, FIRST), Mode.ON, NOW)
    assert done.rule == replace(PAUSED, version=8, reasons=(FIRST, SECOND))
    assert (done.outcome, done.pause) == (RuleOutcome.PAUSED, ANNOUNCED)


def test_of_accounts_that_failed_together_the_lower_id_comes_first() -> None:
    low, high = sorted((FIRST, replace(SECOND, since=NOW)), key=lambda reason: reason.account_id)
    assert reconcile(RUNNING, (high, low), Mode.ON, NOW).rule.reasons == (low, high)


@pytest.mark.parametrize(
    "changed", [pytest.param(BY_A_PERSON, id="a person paused it"), pytest.param({"enabled": False}, id="switched off")]
)
def test_a_rule_that_nobody_wants_to_run_is_not_paused_but_its_reasons_are_known(changed: dict[str, Any]) -> None:
    idle = replace(RUNNING, **changed)
    for mode in (Mode.ON, Mode.DRY_RUN):
        done = reconcile(idle, (FIRST,), mode, NOW)
        assert (done.rule, done.outcome) == (
            replace(idle, version=8, reasons=(FIRST,)),
            RuleOutcome.REASONS_CHANGED,
        )
        assert (done.words, done.pause) == ("", None)


def test_a_second_failure_adds_a_reason_and_not_a_pause() -> None:
    done = reconcile(PAUSED, (FIRST, SECOND), Mode.ON, LATER)
    assert (done.rule, done.outcome) == (
        replace(PAUSED, version=8, reasons=(FIRST, SECOND)),
        RuleOutcome.REASONS_CHANGED,
    )
    assert done.pause is None


def test_what_is_reconciled_stays_as_it_is() -> None:
    for rule, blocked, mode in (
        (RUNNING, (), Mode.ON),
        (RUNNING, (), Mode.DRY_RUN),
        (RUNNING, (FIRST,), Mode.OFF),
        (PAUSED, (FIRST,), Mode.ON),
        (replace(RUNNING, reasons=(FIRST,)), (FIRST,), Mode.DRY_RUN),
    ):
        done = reconcile(rule, blocked, mode, LATER)
        assert (done.rule, done.outcome, done.pause) == (rule, RuleOutcome.NONE, None)


def test_a_dry_run_says_once_what_it_would_do() -> None:
    done = reconcile(RUNNING, (FIRST,), Mode.DRY_RUN, NOW)
    assert (done.rule, done.outcome) == (replace(RUNNING, version=8, reasons=(FIRST,)), RuleOutcome.WOULD_PAUSE)
    assert done.words == "Would have been paused (dry run): the Meta connection of Shop has reached full expiry."
    assert done.pause is None
    assert reconcile(RUNNING, (SECOND, FIRST), Mode.DRY_RUN, NOW).words == done.words, "the account that failed first"
    more = reconcile(done.rule, (FIRST, SECOND), Mode.DRY_RUN, LATER)
    assert (more.outcome, more.words) == (RuleOutcome.REASONS_CHANGED, "")


def test_a_dry_run_forgets_reasons_that_are_gone() -> None:
    done = reconcile(replace(RUNNING, reasons=(FIRST,)), (), Mode.DRY_RUN, LATER)
    assert (done.rule, done.outcome) == (replace(RUNNING, version=8), RuleOutcome.REASONS_CHANGED)


@pytest.mark.parametrize(
    ("changed", "mode", "outcome", "words"),
    [
        pytest.param({}, Mode.ON, RuleOutcome.RESUMED, "Resumed: every account works again.", id="all work again"),
        pytest.param(
            {},
            Mode.OFF,
            RuleOutcome.RESUMED,
            "Resumed: automatic pausing was turned off for the workspace.",
            id="turned off",
        ),
        pytest.param(
            {"revision": 5},
            Mode.OFF,
            RuleOutcome.RESUMED,
            "Resumed: automatic pausing was turned off for the workspace.",
            id="changed meanwhile, and turned off",
        ),
        pytest.param(
            BY_A_PERSON,
            Mode.ON,
            RuleOutcome.RELEASED,
            "Every account works again; the rule stays paused, because a person paused it or switched it off.",
            id="a person paused it meanwhile",
        ),
        pytest.param(
            {"enabled": False},
            Mode.ON,
            RuleOutcome.RELEASED,
            "Every account works again; the rule stays paused, because a person paused it or switched it off.",
            id="switched off meanwhile",
        ),
    ],
)
def test_a_pause_ends_with_its_last_reason(
    changed: dict[str, Any], mode: Mode, outcome: RuleOutcome, words: str
) -> None:
    before = replace(PAUSED, **changed)
    done = reconcile(before, (), mode, LATER)
    assert done.rule == replace(before, version=8, reasons=(), **FREED)
    assert (done.outcome, done.words, done.pause) == (outcome, words, ANNOUNCED)


def test_turning_to_a_dry_run_ends_the_pause_and_keeps_the_reasons_in_sight() -> None:
    done = reconcile(PAUSED, (FIRST,), Mode.DRY_RUN, LATER)
    assert done.rule == replace(PAUSED, version=8, **FREED)
    assert (done.outcome, done.pause) == (RuleOutcome.RESUMED, ANNOUNCED)


@pytest.mark.parametrize("revision", [3, 5])
def test_a_rule_that_was_changed_meanwhile_waits_for_a_look_and_says_so_once(revision: int) -> None:
    changed = replace(PAUSED, revision=revision)
    assert changed.changed_while_paused
    assert not changed.held
    done = reconcile(changed, (), Mode.ON, LATER)
    assert (done.rule, done.outcome, done.pause) == (
        replace(changed, version=8, reasons=()),
        RuleOutcome.HELD,
        ANNOUNCED,
    )
    assert done.rule.held
    assert done.words == (
        "Every account works again, but the rule was changed meanwhile: resume it by hand after a look at it."
    )
    again = reconcile(done.rule, (), Mode.ON, LATER)
    assert (again.rule, again.outcome, again.words) == (done.rule, RuleOutcome.NONE, "")


def test_only_a_pause_of_ours_is_held_or_changed_meanwhile() -> None:
    assert not RUNNING.held
    assert not RUNNING.changed_while_paused
    assert not PAUSED.changed_while_paused
    assert (RUNNING.running, PAUSED.running, PAUSED.wanted) == (True, False, True)


def test_a_hand_ends_both_pauses() -> None:
    both = replace(PAUSED, **BY_A_PERSON)
    done = resume_by_hand(both, (SECOND,), PERSON)
    assert done.rule == replace(
        both, version=8, reasons=(SECOND,), person_paused_at=None, person_paused_by=None, **FREED
    )
    assert (done.outcome, done.words, done.pause) == (RuleOutcome.RESUMED, "Resumed by a person.", ANNOUNCED)


def test_a_hand_ends_either_pause_and_announces_only_the_end_of_ours() -> None:
    assert resume_by_hand(PAUSED, (), PERSON).pause == ANNOUNCED
    person = resume_by_hand(replace(RUNNING, **BY_A_PERSON), (), PERSON)
    assert (person.outcome, person.pause, person.rule.person_paused_by) == (RuleOutcome.RESUMED, None, None)


def test_a_hand_on_a_running_rule_changes_nothing() -> None:
    done = resume_by_hand(RUNNING, (FIRST,), PERSON)
    assert (done.rule, done.outcome) == (RUNNING, RuleOutcome.NONE)


def test_the_resume_of_a_rule_that_is_switched_off_is_not_announced() -> None:
    assert resume_by_hand(replace(PAUSED, enabled=False), (), PERSON).pause is None


@pytest.mark.parametrize("missing", ["auto_paused_at", "auto_paused_account", "auto_paused_token"])
def test_a_pause_is_whole_or_none(missing: str) -> None:
    whole: dict[str, Any] = {missing: None}
    assert pause_of(PAUSED) == ANNOUNCED
    assert pause_of(replace(PAUSED, **whole)) is None


UNSTATED = "the Google Ads connection of Shop has ended: Google Ads no longer accepts the access; it does not say why."


@pytest.mark.parametrize(
    ("why", "cause", "words"),
    [
        ("token_expired", None, "the Google Ads connection of Shop has reached full expiry."),
        ("token_expired", "user_revoked", "the Google Ads connection of Shop has reached full expiry."),
        ("access_lost", None, "access to the Google Ads account Shop was lost."),
        (
            "access_lost",
            "permission_changed",
            "access to the Google Ads account Shop was lost: a permission at Google Ads was taken away.",
        ),
        ("token_revoked", None, UNSTATED),
        ("token_revoked", "of tomorrow", UNSTATED),
        (
            "token_revoked",
            "compromise",
            f"the Google Ads connection of Shop has ended: {clause(RevocationCause.COMPROMISE, 'Google Ads')}.",
        ),
    ],
)
def test_a_reason_names_the_account_and_what_is_known(why: str, cause: str | None, words: str) -> None:
    assert reason_words(why, "google-ads", "Shop", cause) == words


def test_a_reason_speaks_for_itself() -> None:
    lost = replace(FIRST, why=Why.ACCESS_LOST, cause=RevocationCause.PERMISSION_CHANGED)
    assert lost.words == "access to the Meta account Shop was lost: a permission at Meta was taken away."


def test_a_lost_account_needs_access_and_everything_else_a_consent() -> None:
    assert fix_words("access_lost", "meta", "Shop") == (
        "Get access to Shop back at Meta, then re-authorise the connection."
    )
    for why in ("token_expired", "token_revoked"):
        assert fix_words(why, "meta", "Shop") == "Re-authorise Meta; its rules resume by themselves."


def test_a_provider_that_was_added_by_settings_is_written_from_its_id() -> None:
    assert title_of("my-network") == "My Network"
