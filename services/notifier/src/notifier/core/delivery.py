"""What an attempt to deliver came to, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LONGEST_CHANNEL_WAIT_S = 300.0


class SendOutcome(StrEnum):
    """What the channel's other end said."""

    ACCEPTED = "accepted"
    TRY_LATER = "try_later"
    ADDRESS_DEAD = "address_dead"
    MESSAGE_REFUSED = "message_refused"
    CHANNEL_DOWN = "channel_down"
    HELD_BACK = "held_back"
    """It was not presented, because the channel waits."""
    UNKNOWN = "unknown"
    NOT_EDITABLE = "not_editable"
    """The message that was to be edited is gone or too old; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt.

    Attributes:
        answer: in one word.
        reference: the channel's own id of the message, for a later edit.
        retry_after_s: seconds the other end asked us to wait.
        new_address: where the chat moved to (Telegram's `migrate_to_chat_id`).
        detail: a code or class of error for the log; never an address, never a text of ours.
        alone: the wait that it asks for concerns this address, and no other of the channel.
        about_us: the other end refuses us (our sender, sign-in, token or host): operators have to see to it.

    """

    answer: SendOutcome
    reference: str = ""
    retry_after_s: float | None = None
    new_address: str = ""
    detail: str = ""
    alone: bool = False
    about_us: bool = False


class State(StrEnum):
    """Where a delivery is."""

    OPEN = "open"
    RETRY = "retry"
    SENDING = "sending"
    CALLING = "calling"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_EDITABLE = "not_editable"
    """The message that was to be edited is gone or too old; nothing was changed."""


@dataclass(frozen=True, slots=True)
class NextState:
    """The delivery's next state."""

    state: State
    due_at: datetime | None = None
    reason: str = ""
    address_dead: bool = False


def channel_waits_s(outcome: Outcome, wait_s: float) -> float:
    """Return how long the whole channel waits after this outcome: nobody is asked again who has just said he is busy.

    What asks for more than `LONGEST_CHANNEL_WAIT_S` is asked again then: critical notices of others wait behind it.
    """
    match outcome.answer:
        case SendOutcome.CHANNEL_DOWN:
            return max(min(outcome.retry_after_s or 0.0, LONGEST_CHANNEL_WAIT_S), wait_s)
        case SendOutcome.TRY_LATER if not outcome.alone:
            return min(outcome.retry_after_s or 0.0, LONGEST_CHANNEL_WAIT_S)
        case _:
            return 0.0


def decide(  # noqa: PLR0911  a table: one answer per case
    outcome: Outcome, *, wait_s: float, give_up_at: datetime, now: datetime
) -> NextState:
    """Return what follows from an attempt.

    Args:
        outcome: of the attempt.
        wait_s: the backoff's wait after this many failures.
        give_up_at: when this delivery is no longer worth an attempt.
        now: the present.

    """
    match outcome.answer:
        case SendOutcome.ACCEPTED:
            return NextState(State.SENT)
        case SendOutcome.ADDRESS_DEAD:
            return NextState(State.FAILED, reason="address_dead", address_dead=True)
        case SendOutcome.MESSAGE_REFUSED | SendOutcome.NOT_EDITABLE:
            return NextState(State.FAILED, reason="refused")
        case SendOutcome.UNKNOWN:
            return NextState(State.UNKNOWN, reason="unknown_outcome")
        case SendOutcome.CHANNEL_DOWN:
            # Nothing is wrong with this message: no attempt is counted against it.
            return NextState(State.RETRY, now + timedelta(seconds=channel_waits_s(outcome, wait_s)), "channel_down")
        case SendOutcome.HELD_BACK:
            return NextState(State.RETRY, now + timedelta(seconds=outcome.retry_after_s or 0.0), "held_back")
        case SendOutcome.TRY_LATER:
            if now > give_up_at:
                return NextState(State.FAILED, reason="gave_up")
            wait = max(outcome.retry_after_s or 0.0, wait_s)
            return NextState(State.RETRY, now + timedelta(seconds=wait), "try_later")
