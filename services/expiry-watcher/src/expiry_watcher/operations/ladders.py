"""A workspace's own stages."""

from datetime import datetime
from uuid import UUID

from common.postgres import transaction
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.operations.deps import Deps
from expiry_watcher.store import deadlines


async def read_ladder(deps: Deps, workspace_id: UUID) -> Ladder | None:
    """Return the ladder that a workspace chose, if it did."""
    async with transaction(deps.pool) as db:
        return (await deadlines.ladders(db, [workspace_id])).get(workspace_id)


async def choose_ladder(deps: Deps, workspace_id: UUID, ladder: Ladder | None, chosen_by: UUID, now: datetime) -> int:
    """Use these stages from now on (None: the default); returns how many deadlines are planned anew.

    What was announced stays announced: a new stage speaks only where it is more urgent than what was said.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        ladder: the stages; None for the default.
        chosen_by: the person who chose them.
        now: the present time, in UTC.

    """
    async with transaction(deps.pool) as db:
        count = await deadlines.put_ladder(db, workspace_id, ladder, chosen_by, now)
    deps.wake_sweep(now)
    return count
