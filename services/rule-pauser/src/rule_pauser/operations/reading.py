"""Read rules, their history and bulk operations for a caller."""

from dataclasses import dataclass
from uuid import UUID

from rule_pauser.core.listed import HistoryEntry, Listed, Reconciliation
from rule_pauser.core.pausing import Mode
from rule_pauser.operations.deps import Deps
from rule_pauser.store import reconciliations, rules

HISTORY_LIMIT = 100
OPERATIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class RuleStory:
    """A rule and the latest of what happened to it, newest first."""

    listed: Listed
    history: list[HistoryEntry]


async def list_rules(
    deps: Deps,
    workspace_id: UUID,
    *,
    account_id: UUID | None,
    auto_paused: bool | None,
    after: UUID | None,
    limit: int,
) -> list[Listed]:
    """Return a workspace's rules in the order of their ids.

    Args:
        deps: what operations work with.
        workspace_id: whose rules.
        account_id: only rules that act on this account; None: all of them.
        auto_paused: only rules that are (or are not) paused automatically; None: all of them.
        after: the last rule of the page before; None: the first page.
        limit: how many at most.

    """
    return await rules.page(
        deps.pool, workspace_id, account_id=account_id, auto_paused=auto_paused, after=after, limit=limit
    )


async def read_rule(deps: Deps, workspace_id: UUID | None, rule_id: UUID) -> RuleStory | None:
    """Return a rule with its history; None if the workspace (None: any) has no such rule."""
    found = await rules.one(deps.pool, workspace_id, rule_id)
    if found is None:
        return None
    return RuleStory(found, await rules.read_history(deps.pool, rule_id, HISTORY_LIMIT))


async def read_mode(deps: Deps, workspace_id: UUID) -> Mode:
    """Return what a workspace wants of the automatic pause."""
    return await reconciliations.mode_of(deps.pool, workspace_id)


async def list_operations(deps: Deps, workspace_id: UUID) -> list[Reconciliation]:
    """Return the latest bulk operations of a workspace, newest first."""
    return await reconciliations.recent(deps.pool, workspace_id, OPERATIONS_SHOWN)
