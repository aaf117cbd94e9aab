"""What a person does with one rule: pause it, resume it. A person always wins, except against a dead token."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.outbox import enqueue
from common.postgres import Db, transaction
from rule_pauser.core.errors import RuleUnknownError
from rule_pauser.core.pausing import Mode, PauseReason, Rule, RuleActor, RuleOutcome, resume_by_hand
from rule_pauser.operations.deps import SOURCE, Deps
from rule_pauser.operations.reconcile import event_of
from rule_pauser.store import rules


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a rule cannot be resumed now."""

    reason: PauseReason


async def pause_rule(deps: Deps, rule_id: UUID, workspace_id: UUID | None, actor: RuleActor, now: datetime) -> None:
    """Pause a rule for a person; only a person resumes it. Pausing it again changes nothing.

    Args:
        deps: what the operations of the service work with.
        rule_id: the rule.
        workspace_id: the workspace; None for all.
        actor: who does it.
        now: the present time, in UTC.

    Raises:
        RuleUnknownError: there is no such rule in the workspace (None: in any).

    """
    async with transaction(deps.pool) as db:
        rule = await _lock(db, rule_id, workspace_id)
        if rule.person_paused_at is not None:
            return
        rule = replace(rule, person_paused_at=now, person_paused_by=actor.user_id, version=rule.version + 1)
        await rules.put(db, rule, await rules.accounts_of(db, rule_id), now)
        await rules.record(db, rule, "paused_by_person", f"Paused by {actor.words}.", actor=actor.name, now=now)


async def resume_rule(
    deps: Deps, rule_id: UUID, workspace_id: UUID | None, actor: RuleActor, now: datetime
) -> Blocked | None:
    """Resume a rule for a person; None when it runs.

    While an account that it needs does not work, nothing changes and the reason is returned: a resumed rule would only
    fail, or be paused again a second later.

    Args:
        deps: what the operations of the service work with.
        rule_id: the rule.
        workspace_id: the workspace; None for all.
        actor: who does it.
        now: the present time, in UTC.

    Raises:
        RuleUnknownError: there is no such rule in the workspace (None: in any).

    """
    async with transaction(deps.pool) as db:
        rule = await _lock(db, rule_id, workspace_id)
        mode = (await rules.modes(db, [rule.workspace_id])).get(rule.workspace_id, Mode.ON)
        blocked = (await rules.blocked(db, [rule_id])).get(rule_id, ())
        if blocked and mode is Mode.ON:
            return Blocked(blocked[0])
        item = resume_by_hand(rule, blocked, actor)
        if item.outcome is RuleOutcome.NONE:
            return None
        await rules.put(db, item.rule, await rules.accounts_of(db, rule_id), now)
        await rules.save(db, [item], now, actor.name)
        body = event_of(item)
        await enqueue(db, [] if body is None else [body], source=SOURCE, now=now)
    deps.committed()
    return None


async def _lock(db: Db, rule_id: UUID, workspace_id: UUID | None) -> Rule:
    found = await rules.lock(db, rule_id)
    if found is None or found[1] or workspace_id not in (None, found[0].workspace_id):
        raise RuleUnknownError
    return found[0]
