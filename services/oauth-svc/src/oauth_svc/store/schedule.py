"""The schedule: what is due, and who holds it. Leases are on the database's clock, with an epoch.

A claim is one statement: due rows are chosen in turn by workspace and leased. The window bounds what a claim costs to
what is due. The attempt row (`attempts`) is a statement of its own, committed right before the call: a claim that still
waits for its turn when the process is killed was certainly not presented.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import Connection as Db
from common.postgres import Record

from .credentials import SealedCredential

WINDOW_PER_CLAIM = 8
"""A claim looks at this many times the rows that it wants: wide enough to be fair, narrow enough to be cheap."""


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt without a settlement: a killed process's, or one whose answer waits for promotion."""

    epoch: int
    generation: int
    state: str
    started_at: datetime
    key_id: UUID | None
    pending: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One leased connection, ready to be refreshed (or recovered, if an attempt is open)."""

    connection_id: UUID
    workspace_id: UUID
    provider: str
    subject: str
    epoch: int
    attempt: int
    unknown_count: int
    credential: SealedCredential
    open_attempt: OpenAttempt | None


_CHOOSE_DUE = f"""
chosen AS MATERIALIZED (
  SELECT s.connection_id FROM schedule s
  JOIN (
    SELECT t.connection_id FROM (
      SELECT w.connection_id, w.deadline,
             row_number() OVER (PARTITION BY w.workspace_id ORDER BY w.deadline NULLS LAST) AS turn
      FROM (
        SELECT connection_id, workspace_id, deadline FROM schedule
        WHERE provider = $1 AND refresh_at <= $2 AND leased_until <= now()
          AND workspace_id <> ALL ($5::uuid[])
        ORDER BY refresh_at LIMIT $3 * {WINDOW_PER_CLAIM}
      ) w
    ) t ORDER BY t.turn, t.deadline NULLS LAST LIMIT $3
  ) fair USING (connection_id)
  WHERE s.refresh_at <= $2 AND s.leased_until <= now()
  FOR UPDATE OF s SKIP LOCKED
)"""

_CHOOSE_ONE = """
chosen AS MATERIALIZED (
  SELECT s.connection_id FROM schedule s JOIN connection c USING (connection_id)
  WHERE s.connection_id = $1 AND s.leased_until <= now() AND c.status IN ('active', 'expiring', 'degraded')
  FOR UPDATE OF s SKIP LOCKED
)"""

_CLAIM = """
WITH {choose},
claimed AS (
  UPDATE schedule s SET epoch = s.epoch + 1, leased_until = now() + {lease}
  FROM chosen WHERE s.connection_id = chosen.connection_id
  RETURNING s.connection_id, s.provider, s.epoch, s.attempt, s.unknown_count
),
loaded AS (
  SELECT cl.*, c.workspace_id, c.subject, k.key_id, k.version, k.generation, k.sealed, k.issued_at,
         a.epoch AS open_epoch, a.generation AS open_generation, a.state AS open_state,
         a.started_at AS open_started_at, a.key_id AS open_key_id, a.pending AS open_pending
  FROM claimed cl
  JOIN connection c USING (connection_id)
  JOIN credential k USING (connection_id)
  LEFT JOIN LATERAL (
    SELECT epoch, generation, state, started_at, key_id, pending FROM refresh_attempt r
    WHERE r.connection_id = cl.connection_id AND r.state IN ('sent', 'answered')
    ORDER BY r.epoch DESC LIMIT 1
  ) a ON true
)
SELECT * FROM loaded
"""

_CLAIM_DUE = _CLAIM.format(choose=_CHOOSE_DUE, lease="$4::interval")
_CLAIM_ONE = _CLAIM.format(choose=_CHOOSE_ONE, lease="$2::interval")


async def claim_due(
    db: Db,
    provider: str,
    now: datetime,
    *,
    limit: int,
    lease: timedelta,
    exclude: Sequence[UUID] = (),
) -> list[Claim]:
    """Lease up to `limit` due connections of a provider, in turn by workspace, the earliest end first.

    `exclude` names workspaces that had their share.
    """
    rows = await db.fetch(_CLAIM_DUE, provider, now, limit, lease, list(exclude))
    return [_claim_of(row) for row in rows]


async def claim_one(db: Db, connection_id: UUID, *, lease: timedelta) -> Claim | None:
    """Lease one living connection whatever its schedule says; None while somebody else holds it."""
    row = await db.fetchrow(_CLAIM_ONE, connection_id, lease)
    return _claim_of(row) if row is not None else None


def _claim_of(row: Record) -> Claim:
    opened = row["open_epoch"]
    return Claim(
        connection_id=row["connection_id"],
        workspace_id=row["workspace_id"],
        provider=row["provider"],
        subject=row["subject"],
        epoch=row["epoch"],
        attempt=row["attempt"],
        unknown_count=row["unknown_count"],
        credential=SealedCredential(
            row["connection_id"],
            row["workspace_id"],
            row["key_id"],
            row["version"],
            row["generation"],
            row["sealed"],
            row["issued_at"],
        ),
        open_attempt=None
        if opened is None
        else OpenAttempt(
            opened,
            row["open_generation"],
            row["open_state"],
            row["open_started_at"],
            row["open_key_id"],
            row["open_pending"],
        ),
    )


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
class Plan:
    """What a settlement writes to the schedule; the lease ends with it."""

    connection_id: UUID
    epoch: int
    refresh_at: datetime | None
    deadline: datetime | None
    attempt: int
    unknown_count: int


async def settle(db: Db, plans: Sequence[Plan]) -> None:
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


async def put(
    db: Db,
    connection_id: UUID,
    workspace_id: UUID,
    provider: str,
    *,
    refresh_at: datetime | None,
    probe_at: datetime | None,
    deadline: datetime | None,
) -> None:
    """Plan a connection afresh: counters at zero, and the epoch raised so that whoever holds it is fenced out."""
    await db.execute(
        """INSERT INTO schedule (connection_id, workspace_id, provider, refresh_at, probe_at, deadline)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (connection_id) DO UPDATE SET refresh_at = excluded.refresh_at, probe_at = excluded.probe_at,
             deadline = excluded.deadline, epoch = schedule.epoch + 1, leased_until = '-infinity', attempt = 0,
             unknown_count = 0""",
        connection_id,
        workspace_id,
        provider,
        refresh_at,
        probe_at,
        deadline,
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


async def probe_now(db: Db, connection_ids: Sequence[UUID], now: datetime) -> None:
    await db.execute(
        "UPDATE schedule SET probe_at = least(probe_at, $2) WHERE connection_id = ANY($1) AND probe_at IS NOT NULL",
        list(connection_ids),
        now,
    )


async def look_at_now(db: Db, connection_ids: Sequence[UUID], now: datetime) -> None:
    """Probe these at once, and refresh those of them at once whose last refresh failed."""
    await db.execute(
        """UPDATE schedule SET probe_at = least(probe_at, $2),
             refresh_at = CASE WHEN attempt > 0 THEN least(refresh_at, $2) ELSE refresh_at END
           WHERE connection_id = ANY($1)""",
        list(connection_ids),
        now,
    )


async def probe_all_since(db: Db, provider: str, since: datetime, now: datetime) -> None:
    """Probe at once every grant of a provider that was not proved good since; the bucket spreads them."""
    await db.execute(
        """UPDATE schedule s SET probe_at = least(s.probe_at, $3) FROM connection c
           WHERE s.provider = $1 AND s.probe_at IS NOT NULL AND c.connection_id = s.connection_id
             AND c.last_good_at < $2""",
        provider,
        since,
        now,
    )


async def claim_probes(
    db: Db, provider: str, now: datetime, *, limit: int, lease: timedelta
) -> list[tuple[UUID, UUID]]:
    """Take due probes by pushing their time forward: (connection, workspace). A killed prober's become due again."""
    rows = await db.fetch(
        """WITH chosen AS MATERIALIZED (
             SELECT connection_id FROM schedule WHERE provider = $1 AND probe_at <= $2
             ORDER BY probe_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           UPDATE schedule s SET probe_at = $2 + $4::interval FROM chosen
           WHERE s.connection_id = chosen.connection_id RETURNING s.connection_id, s.workspace_id""",
        provider,
        now,
        limit,
        lease,
    )
    return [(row["connection_id"], row["workspace_id"]) for row in rows]


async def plan_probe(db: Db, connection_id: UUID, at: datetime) -> None:
    await db.execute(
        "UPDATE schedule SET probe_at = $2 WHERE connection_id = $1 AND probe_at IS NOT NULL", connection_id, at
    )


async def next_due(db: Db, providers: Sequence[str]) -> datetime | None:
    """The earliest refresh that is planned; for the sweep's gate."""
    found: datetime | None = await db.fetchval(
        """SELECT min(next_at) FROM unnest($1::text[]) AS p(provider), LATERAL (
             SELECT greatest(refresh_at, leased_until) AS next_at FROM schedule s
             WHERE s.provider = p.provider AND refresh_at IS NOT NULL ORDER BY refresh_at LIMIT 1) n""",
        list(providers),
    )
    return found


async def providers_due(db: Db, providers: Sequence[str], now: datetime) -> list[str]:
    """Which of these providers have a refresh to claim; an idle poll costs one index look-up for each."""
    rows = await db.fetch(
        """SELECT p.provider FROM unnest($1::text[]) AS p(provider)
           WHERE EXISTS (SELECT 1 FROM schedule s WHERE s.provider = p.provider AND s.refresh_at <= $2
                           AND s.leased_until <= now())""",
        list(providers),
        now,
    )
    return [row["provider"] for row in rows]


async def providers_to_probe(db: Db, providers: Sequence[str], now: datetime) -> list[str]:
    rows = await db.fetch(
        """SELECT p.provider FROM unnest($1::text[]) AS p(provider)
           WHERE EXISTS (SELECT 1 FROM schedule s WHERE s.provider = p.provider AND s.probe_at <= $2)""",
        list(providers),
        now,
    )
    return [row["provider"] for row in rows]


async def count_unknown(db: Db, connection_id: UUID, epoch: int, unknown_count: int) -> None:
    await db.execute(
        "UPDATE schedule SET unknown_count = $3 WHERE connection_id = $1 AND epoch = $2",
        connection_id,
        epoch,
        unknown_count,
    )


async def release_backlog(db: Db, provider: str, now: datetime) -> None:
    """After an outage: what waits in a back-off is due at once; the bucket spreads it."""
    await db.execute(
        """UPDATE schedule SET refresh_at = $2 WHERE provider = $1 AND refresh_at > $2 AND attempt > 0
             AND leased_until <= now()""",
        provider,
        now,
    )


async def count_due(db: Db, now: datetime) -> list[tuple[str, int, int]]:
    """Per provider: refreshes that are due before the access token ends, and those planned though it has ended."""
    rows = await db.fetch(
        """SELECT provider, count(*) FILTER (WHERE refresh_at <= $1 AND (deadline > $1 OR deadline IS NULL)) AS in_time,
             count(*) FILTER (WHERE deadline <= $1) AS lapsed
           FROM schedule WHERE refresh_at IS NOT NULL GROUP BY provider""",
        now,
    )
    return [(row["provider"], row["in_time"], row["lapsed"]) for row in rows]


@dataclass(frozen=True, slots=True)
class NewPlan:
    """The first plan of a connection that was just made."""

    connection_id: UUID
    workspace_id: UUID
    provider: str
    refresh_at: datetime | None
    probe_at: datetime | None
    deadline: datetime | None


async def put_many(db: Db, plans: Sequence[NewPlan]) -> None:
    """Plan connections that were just made."""
    await db.execute(
        """INSERT INTO schedule (connection_id, workspace_id, provider, refresh_at, probe_at, deadline)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
             $6::timestamptz[])""",
        [p.connection_id for p in plans],
        [p.workspace_id for p in plans],
        [p.provider for p in plans],
        [p.refresh_at for p in plans],
        [p.probe_at for p in plans],
        [p.deadline for p in plans],
    )
