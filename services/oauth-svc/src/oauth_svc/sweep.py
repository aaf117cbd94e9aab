"""What makes oauth-svc act by itself: periodic work, each idempotent, each with a status."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

from common.kafka import KafkaSettings
from common.runtime.periodic import Periodic, Status
from oauth_svc.operations import deadlines, disconnect, expiry, gauges, keys, purge, reconsent, risc, witness
from oauth_svc.operations.consent.callback import forget_old_states
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe
from oauth_svc.operations.status import SweepStatus

IDLE_S = 5.0
"""How long a sweep sleeps at most: what another replica has planned meanwhile is found then."""

APART_S = 0.05
"""Sweeps that are woken by the same change begin so far apart."""


def periodic_work(deps: Deps, engine: Engine, *, poll_s: float) -> tuple[list[Periodic], list[Periodic]]:
    """Return the sweeps, which sleep until their next deadline, and the upkeep, which runs by the clock.

    Args:
        deps: what the operations work with.
        engine: refreshes what is due.
        poll_s: how often the sweeps look at most; how late a change by another replica may be noticed is `IDLE_S`.

    """

    async def uses() -> SweepStatus:
        return SweepStatus(await deps.uses.flush(deps.pool))

    async def until(due: Callable[[Deps], Awaitable[datetime | None]]) -> float | None:
        """Return seconds until the next deadline; at least `poll_s`, because what is due now may be held by others."""
        moment = await due(deps)
        return None if moment is None else max((moment - deps.clock.now()).total_seconds(), poll_s)

    def sweep(
        name: str, work: Callable[[], Awaitable[SweepStatus]], due: Callable[[Deps], Awaitable[datetime | None]]
    ) -> Periodic:
        """Work with deadlines: it sleeps until the next one."""
        idle_s = max(IDLE_S, poll_s)
        return Periodic(name, work, interval_s=idle_s, timeout_s=300, next_delay=partial(until, due))

    def chore(name: str, work: Callable[[], Awaitable[SweepStatus]], busy_s: float) -> Periodic:
        """Work without a deadline: often while it finds something, seldom when it found nothing."""

        async def soon_if_busy() -> float | None:
            return busy_s if made.last_status is not None and found(made.last_status) else None

        made = Periodic(name, work, interval_s=max(IDLE_S, busy_s), timeout_s=300, next_delay=soon_if_busy)
        return made

    refresh = sweep("refresh", engine.sweep, deadlines.next_refresh)
    engine.when_free(refresh.poke)
    swept = [
        refresh,
        sweep("probe", partial(probe.sweep, deps, engine), deadlines.next_probe),
        sweep("expiry", partial(expiry.sweep, deps), deadlines.next_by_time),
        chore("doubts", partial(reconsent.sweep, deps, engine), max(poll_s, 1.0)),
        chore("remote-revoke", partial(disconnect.sweep_remote, deps), max(poll_s, 2.0)),
    ]
    return swept, [
        Periodic("uses", uses, interval_s=10.0),
        Periodic("purge", partial(purge.sweep, deps), interval_s=600.0),
        Periodic("risc", partial(risc.sweep, deps), interval_s=600.0),
        # Each by itself: what only reads goes on while the database takes no writes.
        Periodic("gauges", partial(gauges.count, deps), interval_s=30.0),
        Periodic("ciphertexts", partial(keys.count, deps), interval_s=30.0),
        Periodic("forget-states", partial(forget_old_states, deps), interval_s=30.0),
        Periodic("forget-attempts", partial(expiry.forget_attempts, deps), interval_s=30.0),
    ]


def comparing(deps: Deps, kafka: KafkaSettings) -> Periodic:
    """Return the work that compares the database with the log: at the start, and whenever it is another one."""
    made = Periodic("witness", partial(witness.sweep, deps, deps.fence, kafka), interval_s=IDLE_S, timeout_s=600)
    deps.fence.wake = made.poke
    return made


def found(status: Status) -> bool:
    """Return whether an activation had something to do."""
    return isinstance(status, SweepStatus) and status.claimed > 0


class Waking:
    """Wakes the sweeps some time after a change in this process, once for all changes until then."""

    def __init__(self, sweeps: Sequence[Periodic], after_s: float) -> None:
        self._sweeps = tuple(sweeps)
        self._after_s = after_s
        self._planned: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """Something was committed here: a deadline may come earlier than the one that a sweep sleeps for."""
        if self._planned is None:
            self._planned = asyncio.get_running_loop().call_later(self._after_s, self._wake)

    def _wake(self) -> None:
        self._planned = None
        for number, sweep in enumerate(self._sweeps):
            # One after the other: looks at the same moment would each need a connection of their own.
            asyncio.get_running_loop().call_later(number * APART_S, sweep.poke)
