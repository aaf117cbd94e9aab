"""What makes oauth-svc act by itself: periodic work, each idempotent, each with a status."""

from common.runtime.periodic import Periodic
from oauth_svc.operations import disconnect, expiry, gauges, keys, purge, reconsent
from oauth_svc.operations.consent.callback import forget_old_states
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe
from oauth_svc.operations.status import SweepStatus


def periodic_work(deps: Deps, engine: Engine, *, poll_s: float) -> list[Periodic]:
    """All of it. `poll_s` is how late a due refresh may be noticed when nothing pokes."""

    async def refreshes() -> SweepStatus:
        return await engine.sweep()

    async def probes() -> SweepStatus:
        return await probe.sweep(deps, engine)

    async def doubts() -> SweepStatus:
        return await reconsent.sweep(deps, engine)

    async def ends() -> SweepStatus:
        return await expiry.sweep(deps)

    async def revokes() -> SweepStatus:
        return await disconnect.sweep_remote(deps)

    async def purges() -> SweepStatus:
        return await purge.sweep(deps)

    async def uses() -> SweepStatus:
        return SweepStatus(await deps.uses.flush(deps.pool))

    async def housekeeping() -> SweepStatus:
        await forget_old_states(deps)
        await gauges.count(deps)
        await keys.count(deps)
        await expiry.forget_attempts(deps)
        return SweepStatus(0)

    refresh = Periodic("refresh", refreshes, interval_s=poll_s)
    engine.when_free(refresh.poke)
    return [
        refresh,
        Periodic("probe", probes, interval_s=poll_s, timeout_s=300),
        Periodic("doubts", doubts, interval_s=max(poll_s, 1.0), timeout_s=300),
        Periodic("expiry", ends, interval_s=poll_s),
        Periodic("remote-revoke", revokes, interval_s=max(poll_s, 2.0), timeout_s=300),
        Periodic("uses", uses, interval_s=10.0),
        Periodic("purge", purges, interval_s=600.0),
        Periodic("housekeeping", housekeeping, interval_s=30.0),
    ]
