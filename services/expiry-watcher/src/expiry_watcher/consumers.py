"""Inbound streams: batches of events to one operation each. They only feed the inventory; nothing here decides."""

from collections.abc import Sequence
from uuid import UUID

from common.contracts import Event, EventBody
from common.kafka import InBatches, Purged
from common.runtime.clock import Clock
from common.runtime.errors import InvalidMessageError
from expiry_watcher.operations import Deps, forget, track

GROUP = "expiry-watcher"
TOPICS = ("token.issued", "token.refreshed", "token.revoked", "token.state", "token.accounts")
BATCH = 500


def followed(deps: Deps, clock: Clock) -> InBatches:
    """Return the handler that puts what is said about tokens into the inventory."""

    async def follow(things: Sequence[Event[EventBody] | Purged]) -> None:
        purged = [_token_id(thing) for thing in things if isinstance(thing, Purged)]
        events = [thing for thing in things if isinstance(thing, Event)]
        if events:
            await track(deps, events)
        if purged:
            await forget(deps, purged, clock.now())

    return InBatches(follow, at_most=BATCH)


def _token_id(tombstone: Purged) -> UUID:
    try:
        return UUID(tombstone.key)
    except ValueError:
        raise InvalidMessageError("a tombstone whose key is not a token id") from None
