"""Load, plan, apply: the one way that everything takes which makes, changes or ends notices."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from common.contracts import EventBody
from common.outbox import enqueue
from common.postgres import Db
from common.runtime.ids import new_id
from notifier import metrics
from notifier.core.planning import plan
from notifier.core.plans import Manner, Occasion, Plan
from notifier.operations.deps import SOURCE, Deps
from notifier.operations.snapshots import CHUNK, load
from notifier.store import conditions, deliveries, notices, people, tokens

T = TypeVar("T")


async def take(db: Db, deps: Deps, occasion: Occasion | EventBody, now: datetime) -> None:
    """Do all that follows from an occasion, in the caller's transaction.

    Args:
        db: in a transaction.
        deps: the parts of the service.
        occasion: an event of another service, or something that happened here.
        now: the present.

    """
    manner = Manner(
        pace=deps.pace,
        edits=frozenset(name for name, channel in deps.channels.items() if channel.limits.edits),
        single=frozenset(name for name, channel in deps.channels.items() if not channel.limits.gathers),
        unpaced=frozenset(name for name, channel in deps.channels.items() if not channel.limits.paced),
        new_id=new_id,
    )
    snapshot = await load(db, deps, occasion, manner, now)
    await _apply(db, plan(occasion, snapshot, manner, now), now)


async def _apply(db: Db, planned: Plan, now: datetime) -> None:
    await _save_copies(db, planned, now)
    if planned.conditions:
        await conditions.save(db, planned.conditions)
    if planned.gap is not None:
        await tokens.save_gap(db, *planned.gap)
    await deliveries.withdraw(db, planned.withdrawn, now)
    for new in _chunks(planned.notices):
        await notices.save(db, new)
    for wanted in _chunks(planned.deliveries):
        await deliveries.gather(db, wanted, now)
    for events in _chunks(planned.events):
        await enqueue(db, events, source=SOURCE, now=now)
    _count(planned)


async def _save_copies(db: Db, planned: Plan, now: datetime) -> None:
    """Note what other services told: tokens, rules, incidents, and whose people have to be known."""
    if planned.token is not None:
        await tokens.save(db, planned.token, now)
    if planned.rule is not None:
        await tokens.save_rule(db, planned.rule)
    if planned.incident is not None:
        await conditions.save_incident(db, planned.incident)
    if planned.workspaces:
        await people.want(db, planned.workspaces, now)
    if planned.hurry:
        await people.hurry(db, planned.hurry, now)


def _chunks(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def _count(planned: Plan) -> None:
    for result in planned.results:
        metrics.EVENTS.labels(result).inc()
    for notice in planned.notices:
        if notice.version == 1:
            metrics.NOTICES.labels(notice.condition.code.value).inc()
    for condition in planned.conditions:
        if condition.resolution is not None:
            metrics.RESOLVED.labels(condition.code.value, condition.resolution.value).inc()
