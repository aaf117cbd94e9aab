"""Inbound Kafka: each event to the one operation that takes it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from common.contracts import Event, EventBody
from common.runtime.clock import Clock
from notifier.operations import events
from notifier.operations.deps import Deps

TOPICS = (
    "token.issued",
    "token.refreshed",
    "token.revoked",
    "token.expiring",
    "token.expired",
    "token.state",
    "account.access_changed",
    "platform.incident",
    "rule.paused",
    "rule.resumed",
    "data_gap.closed",
)


Listener = Callable[[Deps, Event[EventBody], datetime], Awaitable[None]]
"""What a channel does with an event, before the notices do; the same event again changes nothing."""


def handler(
    deps: Deps, clock: Clock, listeners: Sequence[Listener] = ()
) -> Callable[[Event[EventBody]], Awaitable[None]]:
    """Return the consumer's handler. A `RetryableError` makes the consumer wait and hand the event over again."""

    async def handle(event: Event[EventBody]) -> None:
        for listener in listeners:
            await listener(deps, event, clock.now())
        await events.take(deps, event, clock.now())

    return handle
