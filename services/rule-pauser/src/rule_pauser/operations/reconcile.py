"""Reconcile rules in batches: what they depend on has changed, so bring them in line with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.contracts import EventBody, RulePausedV1, RuleResumedV1
from common.outbox import enqueue
from common.postgres import Db, transaction
from common.runtime.clock import monotonic
from rule_pauser import metrics
from rule_pauser.core.pausing import Mode, Reconciled, Rule, RuleOutcome, reconcile
from rule_pauser.operations.deps import SOURCE, Deps
from rule_pauser.store import reconciliations, rules

BATCH = 500
"""Rules per transaction: larger batches hold the rules' locks longer and gain little."""


@dataclass(frozen=True, slots=True)
class ReconcileStatus:
    """What one batch did."""

    seen: int
    paused: int
    resumed: int
    more: bool


async def reconcile_some(deps: Deps, now: datetime) -> ReconcileStatus:
    """Do one batch of the oldest open reconciliation. Idempotent: rules follow what is true when they are looked at."""
    started = monotonic()
    async with transaction(deps.pool) as db:
        work = await reconciliations.take(db)
        if work is None:
            metrics.OPEN.set(0)
            return ReconcileStatus(0, 0, 0, more=False)
        found = await rules.lock_scope(db, work.scope, work.after_rule, BATCH)
        reconciled = await reconcile_rules(db, found, now)
        paused = sum(item.outcome is RuleOutcome.PAUSED for item in reconciled)
        resumed = sum(item.outcome is RuleOutcome.RESUMED for item in reconciled)
        done = len(found) < BATCH
        await reconciliations.advance(
            db,
            work.reconciliation_id,
            after_rule=found[-1].rule_id if found else None,
            seen=len(found),
            paused=paused,
            resumed=resumed,
            finished_at=now if done else None,
        )
    if paused or resumed:
        deps.committed()
    for item in reconciled:
        metrics.OUTCOMES.labels(item.outcome).inc()
    metrics.BATCH_SECONDS.observe(monotonic() - started)
    if done:
        metrics.RECONCILIATION_SECONDS.observe(max((now - work.fact_at).total_seconds(), 0.0))
    return ReconcileStatus(len(found), paused, resumed, more=True)


async def reconcile_rules(db: Db, found: Sequence[Rule], now: datetime, actor: str | None = None) -> list[Reconciled]:
    """Reconcile locked rules in the caller's transaction: decide, store, enqueue their events.

    Args:
        db: the connection or the transaction to use.
        found: the rules, locked.
        now: the present time, in UTC.
        actor: who does it; None for none.

    """
    if not found:
        return []
    blocked = await rules.blocked(db, [rule.rule_id for rule in found])
    modes = await rules.modes(db, sorted({rule.workspace_id for rule in found}))
    reconciled = [
        reconcile(rule, blocked.get(rule.rule_id, ()), modes.get(rule.workspace_id, Mode.ON), now) for rule in found
    ]
    await rules.save(db, reconciled, now, actor)
    await enqueue(db, [body for item in reconciled if (body := event_of(item))], source=SOURCE, now=now)
    return reconciled


def event_of(item: Reconciled) -> EventBody | None:
    """Return the event that an outcome causes."""
    kind = _EVENTS.get(item.outcome)
    if kind is None or item.pause is None:
        return None
    return kind(
        rule_id=item.rule.rule_id,
        rule_name=item.rule.name,
        workspace_id=item.rule.workspace_id,
        account_id=item.pause.account_id,
        token_id=item.pause.token_id,
        reason=item.words,
        auto_paused_at=item.pause.since,
        version=item.rule.version,
    )


_EVENTS: dict[RuleOutcome, type[RulePausedV1 | RuleResumedV1]] = {
    RuleOutcome.PAUSED: RulePausedV1,
    RuleOutcome.RESUMED: RuleResumedV1,
}
