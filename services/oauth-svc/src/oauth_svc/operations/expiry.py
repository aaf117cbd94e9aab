"""What the passing of time does: the warning window, and full expiry. `token.state` is always the whole truth."""

from datetime import timedelta

from common.postgres import connection, transaction
from oauth_svc import store
from oauth_svc.core.changes import TimePassed
from oauth_svc.core.lifecycle import WARNING_WINDOW
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.status import SweepStatus

BATCH = 200
ATTEMPTS_KEPT = timedelta(days=7)
ATTEMPTS_PER_RUN = 20_000


async def sweep(deps: Deps) -> SweepStatus:
    """Move what reached its window or its end. A second run finds nothing."""
    now = deps.clock.now()
    async with connection(deps.pool) as db:
        due = await store.connections.due_by_time(db, now, now + WARNING_WINDOW, BATCH)
    if not due:
        return SweepStatus(0)
    async with transaction(deps.pool) as db:
        if not await deps.fence.passes(db):
            return SweepStatus(0)
        locked = await store.connections.lock(db, due)
        await tokens.change(db, locked, dict.fromkeys(locked, TimePassed()), now)
    deps.committed()
    return SweepStatus(len(due), more=len(due) >= BATCH)


async def forget_attempts(deps: Deps) -> None:
    """Settled attempts are kept for a week, for people who look into a failure."""
    async with connection(deps.pool) as db:
        await store.attempts.forget(db, deps.clock.now() - ATTEMPTS_KEPT, ATTEMPTS_PER_RUN)
