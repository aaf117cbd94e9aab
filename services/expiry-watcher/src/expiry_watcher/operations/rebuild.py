"""Complete the inventory from what the topics still hold. Nothing is emptied first: the topics may know less than it.

Three rounds, each to the end of its topics: the watcher's own announcements put back the marks, so that a lost database
does not announce everything a second time; `token.state` (compacted, so it has every token) makes the inventory and
the schedule; the other topics add history to tokens that are there. They may not make any: a purged token's last
events outlive its tombstone, and would bring it back.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import Event, EventBody, InvalidEventError, TokenEvent, TokenExpiredV1, TokenExpiringV1, decode
from common.kafka import KafkaSettings, Record, TopicReader
from common.postgres import transaction
from expiry_watcher.core.history import line_of
from expiry_watcher.core.ladder import EXPIRED_LEAD, Ladder
from expiry_watcher.operations.deps import Deps
from expiry_watcher.operations.track import forget, track
from expiry_watcher.store import deadlines, history, inventory

ANNOUNCEMENTS = ("token.expiring", "token.expired")
STATE = ("token.state", "token.accounts")
REST = ("token.issued", "token.refreshed", "token.revoked", *ANNOUNCEMENTS)
BATCH = 1000


@dataclass(slots=True)
class RebuildProgress:
    """How far a rebuild is."""

    read: int = 0
    marks: int = 0
    tokens: int = 0
    purged: int = 0
    lines: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        return (
            f"{self.read} records read: {self.tokens} tokens, {self.marks} marks put back, {self.lines} lines of "
            f"history, {self.purged} purged, {self.unreadable} unreadable"
        )


async def rebuild(
    deps: Deps, kafka: KafkaSettings, now: datetime, report: Callable[[str, RebuildProgress], None]
) -> RebuildProgress:
    """Add what is missing and what is newer; may run beside a running service, which goes on following.

    A token that the topics do not hold stays as it is. Safe to repeat, and to stop at any moment.

    Args:
        deps: the database.
        kafka: where the topics are.
        now: the time of the rebuild.
        report: told after each batch how far it is.

    Returns:
        What was done.

    """
    progress = RebuildProgress()
    async for batch in _batches(kafka, ANNOUNCEMENTS):
        await _put_back_marks(deps, batch, progress, now)
        report("marks", progress)
    async for batch in _batches(kafka, STATE):
        await _apply_states(deps, batch, progress, now)
        report("tokens", progress)
    async for batch in _batches(kafka, REST):
        await _add_history(deps, batch, progress)
        report("history", progress)
    return progress


async def _put_back_marks(deps: Deps, batch: Sequence[Record], progress: RebuildProgress, now: datetime) -> None:
    marks: dict[tuple[UUID, datetime], timedelta] = {}
    for event in _events(batch, progress):
        found = _mark(event)
        if found is not None:
            key, lead = found
            marks[key] = min(lead, marks.get(key, lead))
    async with transaction(deps.pool) as db:
        await deadlines.mark(db, marks, now)
    progress.marks += len(marks)


async def _apply_states(deps: Deps, batch: Sequence[Record], progress: RebuildProgress, now: datetime) -> None:
    tombstones = [record.key for record in batch if record.value is None]
    result = await track(deps, _events([record for record in batch if record.value is not None], progress))
    progress.tokens += result.applied
    if tombstones:
        progress.purged += await forget(deps, _ids(tombstones, progress), now)
        progress.read += len(tombstones)


async def _add_history(deps: Deps, batch: Sequence[Record], progress: RebuildProgress) -> None:
    lines = [line for event in _events(batch, progress) if (line := line_of(event)) is not None]
    async with transaction(deps.pool) as db:
        present = await inventory.present_among(db, [line.token.token_id for line in lines])
        kept = [line for line in lines if line.token.token_id in present]
        await history.record(db, kept)
    progress.lines += len(kept)


def _events(batch: Sequence[Record], progress: RebuildProgress) -> list[Event[EventBody]]:
    found: list[Event[EventBody]] = []
    for record in batch:
        progress.read += 1
        try:
            event = decode(record.value, record.headers)
        except InvalidEventError:
            progress.unreadable += 1
            continue
        if isinstance(event.body, TokenEvent):
            found.append(event)
    return found


def _ids(keys: Sequence[str], progress: RebuildProgress) -> list[UUID]:
    found: list[UUID] = []
    for key in keys:
        try:
            found.append(UUID(key))
        except ValueError:
            progress.unreadable += 1
    return found


def _mark(event: Event[EventBody]) -> tuple[tuple[UUID, datetime], timedelta] | None:
    match event.body:
        case TokenExpiringV1() as body:
            return (body.token.token_id, body.expires_at), Ladder.parse((body.stage,)).stages[0].lead
        case TokenExpiredV1() as body:
            return (body.token.token_id, body.expired_at), EXPIRED_LEAD
        case _:
            return None


async def _batches(kafka: KafkaSettings, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
    """Yield everything that the topics hold now, from the beginning, in batches."""
    batch: list[Record] = []
    async for record in TopicReader(kafka, *topics).present():
        batch.append(record)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
