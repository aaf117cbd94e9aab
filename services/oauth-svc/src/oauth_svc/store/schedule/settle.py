"""What is written to the schedule when a refresh ends, a grant begins, and a grant ends. Fenced by the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db


@dataclass(frozen=True, slots=True)
class Held:
    """The fence and the counters of one row, read under its lock. `leased`: not settled or given back since."""

    epoch: int
    leased: bool
    attempt: int
    unknown_count: int
    version: int
    generation: int
    key_id: UUID
    issued_at: datetime


async def hold(db: Db, connection_ids: Sequence[UUID]) -> dict[UUID, Held]:
    """Lock the schedule rows of connections that are locked already, and read what a settlement needs."""
    rows = await db.fetch(
        """SELECT s.connection_id, s.epoch, s.leased_until > '-infinity' AS leased, s.attempt, s.unknown_count,
             k.version, k.generation, k.key_id, k.issued_at
           FROM schedule s JOIN credential k USING (connection_id)
           WHERE s.connection_id = ANY($1) ORDER BY s.connection_id FOR UPDATE OF s, k""",
        list(connection_ids),
    )
    return {
        row["connection_id"]: Held(
            row["epoch"],
            row["leased"],
            row["attempt"],
            row["unknown_count"],
            row["version"],
            row["generation"],
            row["key_id"],
            row["issued_at"],
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class NextRefresh:
    """What a settlement writes to the schedule; the lease ends with it."""

    connection_id: UUID
    epoch: int
    refresh_at: datetime | None
    deadline: datetime | None
    attempt: int
    unknown_count: int


async def settle(db: Db, plans: Sequence[NextRefresh]) -> None:
    """Write the next times and give the leases back, fenced by the epoch. Attempts are settled first.

    A connection that is to be left alone, but whose lost answer was found in the meantime (`attempts.keep_late`), is
    due at once: to be promoted.
    """
    if not plans:
        return
    await db.execute(
        """UPDATE schedule s SET refresh_at = CASE
               WHEN n.refresh_at IS NULL AND EXISTS (
                 SELECT FROM refresh_attempt r JOIN credential k USING (connection_id, generation)
                 WHERE r.connection_id = n.connection_id AND r.state = 'answered') THEN now()
               ELSE n.refresh_at END,
             deadline = n.deadline, attempt = n.attempt,
             unknown_count = n.unknown_count, leased_until = '-infinity'
           FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::int[])
             AS n(connection_id, epoch, refresh_at, deadline, attempt, unknown_count)
           WHERE s.connection_id = n.connection_id AND s.epoch = n.epoch""",
        [p.connection_id for p in plans],
        [p.epoch for p in plans],
        [p.refresh_at for p in plans],
        [p.deadline for p in plans],
        [p.attempt for p in plans],
        [p.unknown_count for p in plans],
    )


async def release(db: Db, items: Sequence[tuple[UUID, int]], refresh_at: datetime | None = None) -> None:
    """Give leases back unused, perhaps with a later time."""
    await db.execute(
        """UPDATE schedule s SET leased_until = '-infinity', refresh_at = coalesce($3, s.refresh_at)
           FROM unnest($1::uuid[], $2::bigint[]) AS n(connection_id, epoch)
           WHERE s.connection_id = n.connection_id AND s.epoch = n.epoch""",
        [item[0] for item in items],
        [item[1] for item in items],
        refresh_at,
    )


async def nothing_to_refresh(db: Db, connection_id: UUID, epoch: int) -> None:
    """Give the lease back and plan no refresh: there is nothing to present, and a claim would find the same again."""
    await db.execute(
        """UPDATE schedule SET refresh_at = NULL, leased_until = '-infinity'
           WHERE connection_id = $1 AND epoch = $2""",
        connection_id,
        epoch,
    )


async def count_unknown(db: Db, connection_id: UUID, epoch: int, unknown_count: int) -> None:
    """Store how many answers to the present credential were lost; False when the lease is lost.

    Args:
        db: the connection or the transaction to use.
        connection_id: the connection.
        epoch: the epoch of the lease: a claim that was taken over has a later one.
        unknown_count: the number.

    """
    await db.execute(
        "UPDATE schedule SET unknown_count = $3 WHERE connection_id = $1 AND epoch = $2",
        connection_id,
        epoch,
        unknown_count,
    )


async def after_unknown(db: Db, connection_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these connections whose present credential has an answer that was lost."""
    rows = await db.fetch(
        "SELECT connection_id FROM schedule WHERE connection_id = ANY($1) AND unknown_count > 0", list(connection_ids)
    )
    return {row["connection_id"] for row in rows}


async def release_backlog(db: Db, provider: str, now: datetime) -> None:
    """After an outage: what waits in a back-off is due at once; the bucket spreads it."""
    await db.execute(
        """UPDATE schedule SET refresh_at = $2 WHERE provider = $1 AND refresh_at > $2 AND attempt > 0
             AND leased_until <= now()""",
        provider,
        now,
    )


@dataclass(frozen=True, slots=True)
class NewPlan:
    """The first plan of a connection that was just made."""

    connection_id: UUID
    workspace_id: UUID
    provider: str
    refresh_at: datetime | None
    probe_at: datetime | None
    deadline: datetime | None


async def put(db: Db, plans: Sequence[NewPlan]) -> None:
    """Plan connections afresh: counters at zero, and the epoch raised so that whoever holds one is fenced out."""
    await db.execute(
        """INSERT INTO schedule (connection_id, workspace_id, provider, refresh_at, probe_at, deadline)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
             $6::timestamptz[])
           ON CONFLICT (connection_id) DO UPDATE SET refresh_at = excluded.refresh_at, probe_at = excluded.probe_at,
             deadline = excluded.deadline, epoch = schedule.epoch + 1, leased_until = '-infinity', attempt = 0,
             unknown_count = 0""",
        [p.connection_id for p in plans],
        [p.workspace_id for p in plans],
        [p.provider for p in plans],
        [p.refresh_at for p in plans],
        [p.probe_at for p in plans],
        [p.deadline for p in plans],
    )


async def stop(db: Db, connection_ids: Sequence[UUID]) -> None:
    """The dead are neither refreshed nor probed; whoever holds one is fenced out."""
    await db.execute(
        """UPDATE schedule SET refresh_at = NULL, probe_at = NULL, epoch = epoch + 1, leased_until = '-infinity'
           WHERE connection_id = ANY($1)""",
        list(connection_ids),
    )


async def refresh_now(db: Db, connection_id: UUID, now: datetime) -> None:
    """Pull a planned refresh forward; what has nothing to refresh stays so."""
    await db.execute(
        """UPDATE schedule SET refresh_at = least(refresh_at, $2)
           WHERE connection_id = $1 AND refresh_at IS NOT NULL""",
        connection_id,
        now,
    )
