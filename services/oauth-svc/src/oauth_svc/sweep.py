"""What makes oauth-svc act by itself: periodic work, each idempotent, each with a status."""

from functools import partial

from common.runtime.periodic import Periodic
from oauth_svc.operations import disconnect, expiry, gauges, keys, purge, reconsent
from oauth_svc.operations.consent.callback import forget_old_states
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe
from oauth_svc.operations.status import SweepStatus


def periodic_work(deps: Deps, engine: Engine, *, poll_s: float) -> list[Periodic]:
    """All of it. `poll_s` is how late a due refresh may be noticed when nothing pokes."""

    async def uses() -> SweepStatus:
        return SweepStatus(await deps.uses.flush(deps.pool))

    refresh = Periodic("refresh", engine.sweep, interval_s=poll_s)
    engine.when_free(refresh.poke)
    return [
        refresh,
        Periodic("probe", partial(probe.sweep, deps, engine), interval_s=poll_s, timeout_s=300),
        Periodic("doubts", partial(reconsent.sweep, deps, engine), interval_s=max(poll_s, 1.0), timeout_s=300),
        Periodic("expiry", partial(expiry.sweep, deps), interval_s=poll_s),
        Periodic("remote-revoke", partial(disconnect.sweep_remote, deps), interval_s=max(poll_s, 2.0), timeout_s=300),
        Periodic("uses", uses, interval_s=10.0),
        Periodic("purge", partial(purge.sweep, deps), interval_s=600.0),
        # Each by itself: what only reads goes on while the database takes no writes.
        Periodic("gauges", partial(gauges.count, deps), interval_s=30.0),
        Periodic("ciphertexts", partial(keys.count, deps), interval_s=30.0),
        Periodic("forget-states", partial(forget_old_states, deps), interval_s=30.0),
        Periodic("forget-attempts", partial(expiry.forget_attempts, deps), interval_s=30.0),
    ]
