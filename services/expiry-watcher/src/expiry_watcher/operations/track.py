"""Follow the tokens: put what events say into the inventory, the history and the schedule, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import Event, EventBody, TokenAccountsV1
from common.postgres import transaction
from expiry_watcher import metrics
from expiry_watcher.core.history import line_of
from expiry_watcher.core.inventory import fact_of, full_expiry, waves
from expiry_watcher.operations.deps import Deps
from expiry_watcher.store import deadlines, history, inventory


@dataclass(frozen=True, slots=True)
class TrackResult:
    """What a batch of events did: how many facts counted, and how many facts were old news."""

    applied: int
    stale: int


async def track(deps: Deps, events: Sequence[Event[EventBody]]) -> TrackResult:
    """Apply a batch of token events. Repeats, and events that come late, change nothing but the history.

    No inbox is needed: the version check makes every fact idempotent, and history lines are keyed by what they say.
    """
    facts = [fact for event in events if (fact := fact_of(event)) is not None]
    lines = [line for event in events if (line := line_of(event)) is not None]
    pages = [event.body for event in events if isinstance(event.body, TokenAccountsV1)]
    async with transaction(deps.pool) as db:
        if pages:
            await inventory.put_pages(db, pages)
        changed: dict[UUID, inventory.Changed] = {}
        applied = 0
        for wave in waves(facts):
            found = await inventory.upsert(db, wave)
            applied += len(found)
            changed.update((token.token_id, token) for token in found)
        await history.record(db, lines)
        ladders = await deadlines.ladders(db, sorted({token.workspace_id for token in changed.values()}))
        wanted: list[deadlines.Deadline] = []
        finished: list[UUID] = []
        for token in changed.values():
            expiry = full_expiry(token.kind, token.status, token.since, token.expires_at)
            if expiry is None:
                finished.append(token.token_id)
            else:
                ladder = ladders.get(token.workspace_id, deps.ladder)
                wanted.append(deadlines.Deadline(token.token_id, expiry, ladder.first_due(expiry)))
        await deadlines.put(db, wanted, finished)
    if wanted:
        deps.wake_sweep(min(deadline.due_at for deadline in wanted))
    metrics.FACTS.labels("applied").inc(applied)
    metrics.FACTS.labels("stale").inc(len(facts) - applied)
    return TrackResult(applied=applied, stale=len(facts) - applied)


async def forget(deps: Deps, token_ids: Sequence[UUID], now: datetime) -> int:
    """Apply tombstones: the tokens were purged by their owner."""
    async with transaction(deps.pool) as db:
        count = await inventory.purge(db, sorted(token_ids), now)
    metrics.FACTS.labels("purged").inc(count)
    return count
