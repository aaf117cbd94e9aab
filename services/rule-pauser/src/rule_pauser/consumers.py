"""Inbound Kafka: event to operation."""

from common.contracts import Event, EventBody
from common.kafka import Handler
from common.runtime.clock import Clock
from rule_pauser.operations import Deps, hear

GROUP = "rule-pauser"
TOPICS = (
    "token.issued",
    "token.refreshed",
    "token.expired",
    "token.revoked",
    "token.accounts",
    "account.access_changed",
    "platform.incident",
)


def handler(deps: Deps, clock: Clock) -> Handler:
    """Return what the consumer calls for each event."""

    async def handle(event: Event[EventBody]) -> None:
        await hear(deps, event, clock.now())

    return handle
