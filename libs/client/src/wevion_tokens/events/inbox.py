"""What makes an event's effect happen once: it is accepted in the transaction of its effect, or not at all."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from wevion_tokens.contracts import Event, EventBody

Tx_co = TypeVar("Tx_co", covariant=True)

LIFE = frozenset(
    {
        "token.issued",
        "token.refreshed",
        "token.refresh_failed",
        "token.expiring",
        "token.expired",
        "token.revoked",
        "token.state",
    }
)
"""Topics that tell of one thing, a token's life: what is older on one of them than what is known from another has been
overtaken. There is no order between topics."""


class Inbox(Protocol[Tx_co]):
    """Where a handler's transaction comes from."""

    def accept(self, consumer: str, event: Event[EventBody]) -> AbstractAsyncContextManager[Tx_co | None]:
        """Enter a transaction in which the event is noted; None instead if it is a repeat, or was overtaken.

        Leaving the block commits; an error in it rolls back the note together with the effect.
        """
        ...


def family(event: Event[EventBody]) -> str:
    """Return what the event's version counts: events of one family and subject overtake each other by version."""
    return "token" if event.topic in LIFE else event.topic
