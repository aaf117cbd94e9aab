"""What follows from an attempt, and how fast a channel may be used."""

from datetime import UTC, datetime, timedelta

import pytest

from notifier.core.channels import GIVE_UP_AFTER
from notifier.core.delivery import Outcome, SendOutcome, State, channel_waits_s, decide

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "state", "due_s", "reason"),
    [
        (Outcome(SendOutcome.ACCEPTED), State.SENT, None, ""),
        (Outcome(SendOutcome.ADDRESS_DEAD), State.FAILED, None, "address_dead"),
        (Outcome(SendOutcome.MESSAGE_REFUSED), State.FAILED, None, "refused"),
        (Outcome(SendOutcome.NOT_EDITABLE), State.FAILED, None, "refused"),
        (Outcome(SendOutcome.UNKNOWN), State.UNKNOWN, None, "unknown_outcome"),
        (Outcome(SendOutcome.TRY_LATER), State.RETRY, 10, "try_later"),
        (Outcome(SendOutcome.TRY_LATER, retry_after_s=40), State.RETRY, 40, "try_later"),
        (Outcome(SendOutcome.TRY_LATER, retry_after_s=1), State.RETRY, 10, "try_later"),
        (Outcome(SendOutcome.CHANNEL_DOWN), State.RETRY, 10, "channel_down"),
        (Outcome(SendOutcome.CHANNEL_DOWN, retry_after_s=30), State.RETRY, 30, "channel_down"),
        (Outcome(SendOutcome.HELD_BACK, retry_after_s=3), State.RETRY, 3, "held_back"),
    ],
)
def test_each_answer_has_its_verdict(outcome: Outcome, state: State, due_s: int | None, reason: str) -> None:
    verdict = decide(outcome, wait_s=10, give_up_at=NOW + GIVE_UP_AFTER, now=NOW)
    assert (verdict.state, verdict.reason) == (state, reason)
    assert verdict.due_at == (None if due_s is None else NOW + timedelta(seconds=due_s))
    assert verdict.address_dead is (outcome.answer is SendOutcome.ADDRESS_DEAD)


def test_a_refusal_of_a_day_is_given_up_and_an_outage_never() -> None:
    over = NOW - timedelta(seconds=1)
    assert timedelta(hours=24) == GIVE_UP_AFTER
    assert decide(Outcome(SendOutcome.TRY_LATER), wait_s=1, give_up_at=over, now=NOW).reason == "gave_up"
    assert decide(Outcome(SendOutcome.TRY_LATER), wait_s=1, give_up_at=NOW, now=NOW).due_at
    down = decide(Outcome(SendOutcome.CHANNEL_DOWN), wait_s=1, give_up_at=over, now=NOW)
    assert down.state is State.RETRY


@pytest.mark.parametrize(
    ("outcome", "waits_s"),
    [
        (Outcome(SendOutcome.ACCEPTED), 0),
        (Outcome(SendOutcome.ADDRESS_DEAD), 0),
        (Outcome(SendOutcome.UNKNOWN), 0),
        (Outcome(SendOutcome.TRY_LATER), 0),
        (Outcome(SendOutcome.TRY_LATER, retry_after_s=0, new_address="-100"), 0),
        (Outcome(SendOutcome.TRY_LATER, retry_after_s=40), 40),
        (Outcome(SendOutcome.CHANNEL_DOWN), 10),
        (Outcome(SendOutcome.CHANNEL_DOWN, retry_after_s=30), 30),
        (Outcome(SendOutcome.HELD_BACK, retry_after_s=30), 0),
    ],
)
def test_who_is_busy_is_left_alone_by_the_whole_channel(outcome: Outcome, waits_s: float) -> None:
    assert channel_waits_s(outcome, 10) == waits_s
