"""When grants are asked about at their platform, and who asks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import Db


async def probe_now(db: Db, connection_ids: Sequence[UUID], now: datetime) -> None:
    await db.execute(
        "UPDATE schedule SET probe_at = least(probe_at, $2) WHERE connection_id = ANY($1) AND probe_at IS NOT NULL",
        list(connection_ids),
        now,
    )


async def look_once_more(db: Db, connection_ids: Sequence[UUID], at: datetime) -> None:
    """Plan a probe of grants that have ended, and that are not on the schedule any more."""
    await db.execute("UPDATE schedule SET probe_at = $2 WHERE connection_id = ANY($1)", list(connection_ids), at)


async def drop_probe(db: Db, connection_id: UUID) -> None:
    """Ask no more about a grant."""
    await db.execute("UPDATE schedule SET probe_at = NULL WHERE connection_id = $1", connection_id)


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
    """Probe at once every grant of a provider that was not proved good since; the bucket spreads them.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        since: grants that proved good after this time are left out, in UTC.
        now: the present time, in UTC.

    """
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
    """Take due probes by pushing their time forward: (connection, workspace). A killed prober's become due again.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        now: the present time, in UTC.
        limit: how many are taken at most.
        lease: how long nobody else takes them.

    """
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


async def providers_to_probe(db: Db, providers: Sequence[str], now: datetime) -> list[str]:
    rows = await db.fetch(
        """SELECT p.provider FROM unnest($1::text[]) AS p(provider)
           WHERE EXISTS (SELECT 1 FROM schedule s WHERE s.provider = p.provider AND s.probe_at <= $2)""",
        list(providers),
        now,
    )
    return [row["provider"] for row in rows]
