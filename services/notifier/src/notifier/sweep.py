"""Periodic work: messages that are due, per channel, and people whose list is old."""

from datetime import timedelta

from common.runtime.clock import Clock
from common.runtime.periodic import Periodic
from notifier.operations import directory, sending
from notifier.operations.channel import AnyChannel
from notifier.operations.deps import Deps

IDLE_S = 5.0
"""How long a sender sleeps at most when nothing is known to be due: a message of another replica is found then."""
SEND_TIMEOUT_S = 120.0


def sender(deps: Deps, channel: AnyChannel, clock: Clock) -> Periodic:
    """Sends what is due on one channel; sleeps until the next thing is, or the other end wants to be asked again."""
    waits_until = clock.now()
    waits = sending.Waits()

    async def activate() -> sending.SendStatus | None:
        nonlocal waits_until
        if clock.now() < waits_until:
            return None
        status = await sending.send_due(deps, channel, clock.now(), waits)
        waits_until = clock.now() + timedelta(seconds=status.wait_s)
        return status

    async def next_delay() -> float | None:
        due_s = await sending.next_delay(deps, channel, clock.now())
        return None if due_s is None else max(due_s, (waits_until - clock.now()) / timedelta(seconds=1))

    return Periodic(
        f"send-{channel.name.value}", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S, next_delay=next_delay
    )


def people_refresher(deps: Deps, clock: Clock) -> Periodic:
    """Keeps the lists of people fresh."""

    async def activate() -> directory.RefreshStatus:
        return await directory.refresh(deps, clock.now())

    return Periodic("refresh-people", activate, interval_s=IDLE_S, timeout_s=SEND_TIMEOUT_S)


def gauges(deps: Deps, clock: Clock) -> Periodic:
    """Shows what waits to be delivered; apart from the senders, so that it goes on when they cannot."""

    async def activate() -> None:
        await sending.measure(deps, clock.now())

    return Periodic("measure-deliveries", activate, interval_s=IDLE_S)
