"""What a workspace chooses for all of its rules."""

from datetime import datetime
from uuid import UUID

from common.postgres import transaction
from common.runtime.ids import new_id
from rule_pauser.core.listed import RuleScope
from rule_pauser.core.pausing import Mode
from rule_pauser.operations.deps import Deps
from rule_pauser.store import reconciliations


async def choose_mode(deps: Deps, workspace_id: UUID, mode: Mode, set_by: UUID, now: datetime) -> None:
    """Turn automatic pausing on, off, or to a dry run; the workspace's rules are reconciled by it.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        mode: whether rules are paused, left alone, or only said to be paused.
        set_by: the person who chose it.
        now: the present time, in UTC.

    """
    async with transaction(deps.pool) as db:
        await reconciliations.put_mode(db, workspace_id, mode, set_by, now)
        why = f"automatic pausing: {mode}"
        await reconciliations.open_(db, new_id(), RuleScope(workspace_id), why=why, fact_at=now, now=now)
    deps.wake_reconciling()
