"""Periodic work: messages that are due, per channel; people whose list is old."""

from common.runtime.clock import Clock
from common.runtime.periodic import Periodic
from notifier.channels.base import Channel
from notifier.operations import directory, sending
from notifier.operations.deps import Deps

IDLE_S = 5.0
"""How long a sender sleeps at most when nothing is known to be due: a message of another replica is found then."""
SEND_TIMEOUT_S = 120.0


def sender(deps: Deps, channel: Channel, clock: Clock) -> Periodic:
    """Sends what is due on one channel, and sleeps until the next thing is."""

    async def activate() -> sending.SendStatus:
        return await sending.send_due(deps, channel, clock.now())

    async def next_delay() -> float | None:
        return await sending.next_delay(deps, channel, clock.now())

    return Periodic(
        f"send-{channel.name.value}", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S, next_delay=next_delay
    )


def people_refresher(deps: Deps, clock: Clock) -> Periodic:
    """Keeps the lists of people fresh."""

    async def activate() -> directory.RefreshStatus:
        return await directory.refresh(deps, clock.now())

    return Periodic("refresh-people", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S)
