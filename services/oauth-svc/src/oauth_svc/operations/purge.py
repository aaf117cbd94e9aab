"""Secrets of the long dead are forgotten, and their state leaves the compacted topic.

The connection itself stays, with its accounts and its gaps: re-authorising it works as before, on the same id.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts import TokenStateV1
from common.postgres import connection, transaction
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core.connection import Connection
from oauth_svc.core.errors import StillAliveError, UnknownConnectionError
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.status import SweepStatus
from oauth_svc.store.connections import DeadGrants

_log = get_logger(__name__)

BATCH = 200


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a run did, or would do."""

    grants: int
    groups: tuple[DeadGrants, ...] = ()


async def plan(deps: Deps, dead_before: datetime) -> PurgeResult:
    """Return what a run would forget. Changes nothing."""
    async with connection(deps.pool) as db:
        groups = tuple(await store.connections.count_dead(db, dead_before))
    return PurgeResult(sum(group.grants for group in groups), groups)


async def sweep(deps: Deps) -> SweepStatus:
    """One batch of each kind. Grants whose end the platform has not been told yet keep their credential until it has.

    Those that a platform's signal ended keep it for a grace period, because a signal can be mistaken.
    """
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        kept = await store.credentials.forget_ended_by_signal(db, now - deps.limits.signal_grace, BATCH)
    done = await _batch(deps, now - deps.limits.purge_after)
    return SweepStatus(done + kept, more=BATCH in (done, kept))


async def run(deps: Deps, dead_before: datetime) -> PurgeResult:
    """Every batch there is."""
    done = 0
    while (batch := await _batch(deps, dead_before)) > 0:
        done += batch
    return PurgeResult(done)


async def one(deps: Deps, connection_id: UUID, *, dry_run: bool) -> Connection:
    """One dead grant, however long. Raises `StillAliveError`, here or at the platform, having changed nothing."""
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        connection = (await store.connections.lock(db, [connection_id])).get(connection_id)
        if connection is None:
            raise UnknownConnectionError
        if connection.status.alive:
            raise StillAliveError(f"Connection {connection_id} is {connection.status.value}.")
        if await store.connections.awaits_remote_revoke(db, connection_id):
            raise StillAliveError(
                f"{connection.provider} was not told of the end of {connection_id} yet.", fix="Try again in a moment."
            )
        if not dry_run:
            await _forget(db, [connection], now)
    deps.committed()
    return connection


async def _batch(deps: Deps, dead_before: datetime) -> int:
    async with transaction(deps.pool) as db:
        dead = await store.connections.lock(db, await store.connections.dead_before(db, dead_before, BATCH))
        # Whoever was re-authorised between the two statements is alive now.
        grants = [c for c in dead.values() if not c.status.alive and c.since < dead_before]
        await _forget(db, grants, deps.clock.now())
    deps.committed()
    return len(grants)


async def _forget(db: store.Db, grants: list[Connection], now: datetime) -> None:
    for grant in grants:
        await store.credentials.forget(db, grant.connection_id)
        await outbox.enqueue_tombstone(
            db, topic=TokenStateV1.TOPIC, key=str(grant.connection_id), version=grant.version
        )
        metrics.PURGED.labels(grant.provider).inc()
    await store.connections.mark_purged(db, [grant.connection_id for grant in grants], now)
    if grants:
        _log.info("grants_purged", count=len(grants))
