"""Say what is due: claim deadlines, decide, mark, enqueue, all in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from common.outbox import enqueue
from common.postgres import transaction
from expiry_watcher import metrics
from expiry_watcher.core.history import line
from expiry_watcher.core.plan import WarningPlan, plan
from expiry_watcher.operations.deps import SOURCE, Deps
from expiry_watcher.store import deadlines, history

_BACKLOG_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class AnnounceStatus:
    """What one sweep did."""

    claimed: int
    said: int
    more: bool


async def announce_due(deps: Deps, now: datetime, limit: int) -> AnnounceStatus:
    """Announce up to `limit` of the steps that are due at `now`.

    A token that was renewed or revoked meanwhile is not announced: the claim holds its deadline's lock, and the
    token's row is read after the lock was granted.
    """
    async with transaction(deps.pool) as db:
        claimed = await deadlines.claim(db, now, limit)
        if not claimed:
            return AnnounceStatus(0, 0, more=False)
        decided = plan(await deadlines.read_claimed(db, claimed), deps.ladder, now)
        await deadlines.mark(db, decided.marks, now)
        await deadlines.advance(db, decided.next_due, decided.finished)
        await deadlines.put(
            db, [deadlines.Deadline(token_id, at, now) for token_id, at in decided.replanned.items()], []
        )
        await history.record(db, [told for body in decided.bodies if (told := line(body, now)) is not None])
        await enqueue(db, decided.bodies, source=SOURCE, now=now)
    if decided.bodies:
        deps.committed()
    _count(decided)
    return AnnounceStatus(claimed=len(claimed), said=len(decided.bodies), more=len(claimed) == limit)


def _count(decided: WarningPlan) -> None:
    by_stage: dict[str, list[float]] = {}
    for said in decided.said:
        by_stage.setdefault(metrics.stage_label(said.stage), []).append(max(said.delay.total_seconds(), 0.0))
    for label, delays in by_stage.items():
        metrics.ANNOUNCED.labels(label).inc(len(delays))
        observe = metrics.NOTICE_DELAY.labels(label).observe
        for delay in delays:
            observe(delay)
    for reason, count in decided.suppressed.items():
        metrics.SUPPRESSED.labels(reason).inc(count)


async def measure_backlog(deps: Deps, now: datetime) -> None:
    """Set the backlog gauges. Costs what is due, up to a cap."""
    counts = dict.fromkeys(metrics.LATENESS, 0)
    for late in await deadlines.backlog(deps.pool, now, _BACKLOG_LIMIT):
        counts[metrics.lateness_label(late.total_seconds())] += 1
    for name, count in counts.items():
        metrics.BACKLOG.labels(name).set(count)


async def next_due(deps: Deps) -> datetime | None:
    """Return the earliest deadline that is still to come or to be announced; None: there is none."""
    return await deadlines.next_due(deps.pool)
