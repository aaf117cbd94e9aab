"""Inbound Kafka: each event to the one operation that takes it."""

from collections.abc import Awaitable, Callable

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


def handler(deps: Deps, clock: Clock) -> Callable[[Event[EventBody]], Awaitable[None]]:
    """The consumer's handler. `RetryableError` from below makes the consumer wait and hand the event over again."""

    async def handle(event: Event[EventBody]) -> None:
        await events.take(deps, event, clock.now())

    return handle
