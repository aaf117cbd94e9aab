"""What the author of rules does: define, redefine, delete. Versioned by the author's revision, so repeats are safe."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.postgres import Db, transaction
from rule_pauser.core.errors import AccountsForbiddenError, RevisionConflictError, RuleForbiddenError, RuleUnknownError
from rule_pauser.core.pausing import Rule
from rule_pauser.operations.deps import Deps
from rule_pauser.operations.reconcile import reconcile_rules
from rule_pauser.store import grants, incidents, rules


@dataclass(frozen=True, slots=True)
class RuleDefinition:
    """A rule as its author wants it."""

    rule_id: UUID
    workspace_id: UUID
    name: str
    account_ids: tuple[UUID, ...]
    enabled: bool
    revision: int


async def put_rule(deps: Deps, wanted: RuleDefinition, actor: str, now: datetime) -> bool:
    """Store a definition; True if the rule is new. A rule on an account that does not work is paused at once.

    Args:
        deps: what the operations of the service work with.
        wanted: the definition.
        actor: who does it.
        now: the present time, in UTC.

    Raises:
        RuleForbiddenError: another workspace has a rule with this id.
        RevisionConflictError: a newer definition is stored, or another one with this revision.
        AccountsForbiddenError: an account belongs to another workspace.

    """
    async with transaction(deps.pool) as db:
        # Held before anything is decided: whoever brings news of these accounts or of their platforms waits for us, or
        # we for them.
        await grants.lock_accounts(db, wanted.account_ids)
        await incidents.lock_shared(db)
        if strangers := await grants.foreign(db, wanted.account_ids, wanted.workspace_id):
            raise AccountsForbiddenError(strangers)
        found = await rules.lock(db, wanted.rule_id)
        if found is None:
            rule = Rule(wanted.rule_id, wanted.workspace_id, wanted.name, wanted.enabled, wanted.revision, version=1)
        else:
            known, deleted = found
            if known.workspace_id != wanted.workspace_id:
                raise RuleForbiddenError
            if not await _newer(db, known, wanted, deleted=deleted):
                return False
            rule = replace(
                known,
                name=wanted.name,
                enabled=wanted.enabled,
                revision=wanted.revision,
                version=known.version + 1,
                person_paused_at=None if deleted else known.person_paused_at,
                person_paused_by=None if deleted else known.person_paused_by,
            )
        await rules.put(db, rule, wanted.account_ids, now)
        what, words = ("created", "Created.") if found is None else ("changed", f"Changed: {_state(wanted)}.")
        await rules.record(db, rule, what, words, actor=actor, now=now)
        if rule.reasons and not (await rules.blocked(db, [rule.rule_id])).get(rule.rule_id):
            # The edit itself took the dead accounts out of the rule: its author decided, so nothing is held back.
            rule = replace(rule, auto_paused_revision=rule.revision if rule.auto_paused_at else None)
        reconciled = await reconcile_rules(db, [rule], now)
    if any(item.pause for item in reconciled):
        deps.committed()
    return found is None


async def delete_rule(deps: Deps, rule_id: UUID, workspace_id: UUID | None, actor: str, now: datetime) -> None:
    """Delete a rule; deleting it again changes nothing.

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
        found = await rules.lock(db, rule_id)
        if found is None or workspace_id not in (None, found[0].workspace_id):
            raise RuleUnknownError
        rule, deleted = found
        if deleted:
            return
        rule = replace(rule, version=rule.version + 1)
        await rules.delete(db, rule, now)
        await rules.record(db, rule, "deleted", "Deleted.", actor=actor, now=now)


async def _newer(db: Db, known: Rule, wanted: RuleDefinition, *, deleted: bool) -> bool:
    """Return whether the definition has to be stored; False if it is the stored one. Raises RevisionConflictError."""
    if wanted.revision > known.revision:
        return True
    same = (
        not deleted
        and wanted.revision == known.revision
        and (wanted.name, wanted.enabled) == (known.name, known.enabled)
        and await rules.accounts_of(db, known.rule_id) == wanted.account_ids
    )
    if not same:
        raise RevisionConflictError(known.revision)
    return False


def _state(wanted: RuleDefinition) -> str:
    switch = "switched on" if wanted.enabled else "switched off"
    count = len(wanted.account_ids)
    return f"revision {wanted.revision}, {switch}, {count} account{'' if count == 1 else 's'}"
