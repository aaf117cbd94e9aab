"""When there is something to do next, which lets the sweeps sleep until then."""

from datetime import datetime

from common.postgres import connection
from oauth_svc import store
from oauth_svc.core.lifecycle import WARNING_WINDOW
from oauth_svc.operations.deps import Deps


async def next_refresh(deps: Deps) -> datetime | None:
    """Return when the next refresh is due; None when none is planned."""
    async with connection(deps.pool) as db:
        return await store.schedule.next_refresh(db, _providers(deps))


async def next_probe(deps: Deps) -> datetime | None:
    """Return when the next probe is due; None when none is planned."""
    async with connection(deps.pool) as db:
        return await store.schedule.next_probe(db, _providers(deps))


async def next_by_time(deps: Deps) -> datetime | None:
    """Return when the next connection reaches its end or its warning window; None when none ends."""
    async with connection(deps.pool) as db:
        first, beyond = await store.connections.next_by_time(db, deps.clock.now() + WARNING_WINDOW)
    moments = [first, beyond - WARNING_WINDOW if beyond is not None else None]
    return min((moment for moment in moments if moment is not None), default=None)


def _providers(deps: Deps) -> list[str]:
    return [provider.profile.provider for provider in deps.providers]
