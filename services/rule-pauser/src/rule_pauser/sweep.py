"""Periodic work: reconciling what is open, pausing for incidents that last, forgetting what is old."""

from collections.abc import Callable

from common.runtime.clock import Clock
from common.runtime.periodic import Periodic
from rule_pauser.operations import Deps, ReconcileStatus, pause_for_incidents, reconcile_some, tidy

TIDY_EVERY_S = 3600.0
INCIDENTS_EVERY_S = 10.0
"""An incident has to last for hours before it pauses anything: seconds do not matter."""


def reconciling(deps: Callable[[], Deps], clock: Clock, *, max_wait_s: float) -> Periodic:
    """Return the work that brings rules in line with their grants, one batch at a time."""

    async def reconcile() -> ReconcileStatus:
        return await reconcile_some(deps(), clock.now())

    return Periodic("reconciling", reconcile, interval_s=max_wait_s)


def incidents(deps: Deps, clock: Clock) -> Periodic:
    """Return the work that pauses the rules of a platform whose incident has lasted too long."""

    async def look_at_incidents() -> None:
        await pause_for_incidents(deps, clock.now())

    return Periodic("incidents", look_at_incidents, interval_s=INCIDENTS_EVERY_S)


def tidying(deps: Deps, clock: Clock) -> Periodic:
    """Return the work that deletes what nobody will ask for again."""

    async def forget_old() -> None:
        await tidy(deps, clock.now())

    return Periodic("tidy", forget_old, interval_s=TIDY_EVERY_S, timeout_s=TIDY_EVERY_S)
