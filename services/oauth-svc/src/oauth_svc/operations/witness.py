"""Comparing the database with the log of states, and repairing what the log proves to have moved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts import DetectedBy, RevocationCause
from common.kafka import KafkaSettings
from common.outbox.republish import Published, TopicStates, read_states
from common.postgres import connection, transaction
from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core.changes import Change, Revoked
from oauth_svc.core.connection import Connection
from oauth_svc.core.lifecycle import restated
from oauth_svc.core.witness import UNSEEN, LogStep, alive_there, brought_level, marked, may_be_spent, released, step
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import SOURCE, Deps
from oauth_svc.operations.fence import Fence
from oauth_svc.operations.status import SweepStatus

_log = get_logger(__name__)

BATCH = 200


@dataclass(slots=True)
class LogComparison:
    """How the database stands to the log.

    Attributes:
        newest: when the log's last record was written.
        behind: tokens whose version in the log is newer, by what is done with them.
        unseen: living tokens that the lost database may have refreshed without telling.
        absent: tokens that live in the log and are not in the database: connected after the backup.

    """

    newest: datetime
    behind: dict[LogStep, list[UUID]] = field(default_factory=dict)
    unseen: list[UUID] = field(default_factory=list)
    absent: list[UUID] = field(default_factory=list)

    @property
    def went_back(self) -> bool:
        """Return whether the database was restored to an earlier state."""
        return bool(self.behind or self.absent)


async def sweep(deps: Deps, fence: Fence, kafka: KafkaSettings) -> SweepStatus:
    """Compare a database that was not compared yet, repair, and let its grants pass. Waits while Kafka is away."""
    async with connection(deps.pool) as db:
        identity = await store.witness.identity(db)
    if fence.is_compared(identity):
        return SweepStatus(0)
    found = await repair(deps, kafka)
    async with connection(deps.pool) as db:
        if await store.witness.identity(db) != identity:
            return SweepStatus(0, more=True)
    fence.compared(identity)
    deps.committed()
    return SweepStatus(sum(len(ids) for ids in found.behind.values()) + len(found.unseen))


async def look(deps: Deps, kafka: KafkaSettings) -> LogComparison:
    """Compare and change nothing."""
    return await _compare(deps, await read_states(kafka, source=SOURCE))


async def repair(deps: Deps, kafka: KafkaSettings) -> LogComparison:
    """Compare, and write what the log proves; safe beside other replicas, to stop, and to repeat.

    What is not proven but possible comes first: while tokens are still behind, whoever repeats this finds the same.
    """
    states = await read_states(kafka, source=SOURCE)
    found = await _compare(deps, states)
    if not found.went_back:
        return found
    _log.error(
        "database_went_back",
        newest=found.newest.isoformat(),
        unseen=len(found.unseen),
        absent=len(found.absent),
        **{what.value: len(ids) for what, ids in found.behind.items()},
    )
    for page in _pages(found.unseen):
        await hold(deps, page)
    for page in _pages([one for ids in found.behind.values() for one in ids]):
        await _level(deps, page, states.tokens)
    return found


async def hold(deps: Deps, connection_ids: Sequence[UUID]) -> int:
    """Present the credentials of these living connections no more before their platform's rule allows it; how many."""
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, connection_ids)
        chosen = [one for one in locked.values() if one.status.alive and not one.restored]
        await _doubt(db, chosen)
    deps.committed()
    return len(chosen)


async def release(deps: Deps, connection_ids: Sequence[UUID]) -> int:
    """Present what is stored after all: somebody knows that it was not presented before. Returns how many."""
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, connection_ids)
        chosen = [released(one) for one in locked.values() if one.restored]
        await store.connections.save(db, chosen)
        await store.witness.trust(db, [one.connection_id for one in chosen])
    deps.committed()
    return len(chosen)


async def _compare(deps: Deps, states: TopicStates) -> LogComparison:
    """The log was read before the database, so a version that is newer in it was lost, and is not under way."""
    found = LogComparison(states.newest)
    async with connection(deps.pool) as db:
        versions = await store.witness.versions(db)
    moved = [key for key, version in versions.items() if (k := states.tokens.get(key)) and k.version > version]
    found.absent = [key for key, known in states.tokens.items() if not known.over and key not in versions]
    for page in _pages(moved):
        async with connection(deps.pool) as db:
            for key in page:
                one = await store.connections.read(db, key)
                what = step(one, deps.providers[one.provider].profile, states.tokens[key]) if one else None
                if what is not None:
                    found.behind.setdefault(what, []).append(key)
    if found.went_back:
        spending = [p.profile.provider for p in deps.providers if may_be_spent(p.profile)]
        known = {key for ids in found.behind.values() for key in ids}
        async with connection(deps.pool) as db:
            due = await store.witness.due_before(db, spending, states.newest, UNSEEN)
        found.unseen = [key for key in due if key not in known]
    return found


async def _level(deps: Deps, page: Sequence[UUID], known: dict[UUID, Published]) -> None:
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, page)
        sorted_: dict[LogStep, list[Connection]] = {what: [] for what in LogStep}
        for key, one in locked.items():
            what = step(one, deps.providers[one.provider].profile, known[key])
            if what is not None:
                sorted_[what].append(brought_level(one, known[key]))
        await store.connections.save(db, sorted_[LogStep.RENEW])
        await store.witness.hurry(db, [one.connection_id for one in sorted_[LogStep.RENEW]])
        await _doubt(db, sorted_[LogStep.ASK])
        # An old state may have been sent once more, from the outbox of the backup: the end is what the log must keep.
        ends = [restated(one, one.version + 1) for one in sorted_[LogStep.END]]
        await store.connections.save(db, [told.connection for told in ends])
        await outbox.enqueue(db, [event for told in ends for event in told.events], source=SOURCE, now=now)
        await tokens.end(db, [one for one in sorted_[LogStep.END] if locked[one.connection_id].status.alive])
        lost: dict[UUID, Change] = {
            one.connection_id: Revoked(RevocationCause.CREDENTIAL_LOST, DetectedBy.REFRESH)
            for one in sorted_[LogStep.LOST]
        }
        await tokens.change(db, {one.connection_id: alive_there(one) for one in sorted_[LogStep.LOST]}, lost, now)
    deps.committed()


async def _doubt(db: store.Db, chosen: Sequence[Connection]) -> None:
    ids = [one.connection_id for one in chosen]
    await store.connections.save(db, [marked(one) for one in chosen])
    await store.attempts.supersede(db, ids)
    await store.witness.doubt(db, ids)


def _pages(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
