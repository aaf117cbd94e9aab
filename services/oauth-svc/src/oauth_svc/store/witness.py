"""Which database this is, and what it says of its versions: compared with the log after it was restored."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from common.postgres import Db
from oauth_svc.core.connection import RESTORED

Identity: TypeAlias = tuple[datetime, int, int]
"""The start of the server, the database's number in it, and the file of a table."""


async def identity(db: Db) -> Identity:
    """Return what differs after a server was started or replaced, and after a database or table was made anew.

    The start of a server is known to the microsecond, so a standby that was promoted, a snapshot and a physical backup
    all differ from the server before. A logical restore makes the database or its tables anew.
    """
    row = await db.fetchrow(
        """SELECT pg_postmaster_start_time() AS started, pg_relation_filenode('connection')::bigint AS file,
             (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database"""
    )
    if row is None:
        raise LookupError("the server does not say which database this is")
    return row["started"], row["database"], row["file"]


async def versions(db: Db) -> dict[UUID, int]:
    """Return the version of every connection that was not purged."""
    rows = await db.fetch("SELECT connection_id, version FROM connection WHERE purged_at IS NULL AND version > 0")
    return {row["connection_id"]: row["version"] for row in rows}


async def due_before(db: Db, providers: Sequence[str], newest: datetime, unseen: timedelta) -> list[UUID]:
    """Return living connections of these providers that a lost database may have refreshed without telling.

    Args:
        db: the database.
        providers: whose credentials may be spent by a refresh.
        newest: when the log's last record was written.
        unseen: how long after it the lost database may have gone on.

    Returns:
        Those that were due by then, were not refreshed since, and are not marked already.

    """
    rows = await db.fetch(
        """SELECT s.connection_id FROM schedule s JOIN connection c USING (connection_id)
           WHERE s.provider = ANY($1) AND s.refresh_at <= $2::timestamptz + $3::interval
             AND c.status IN ('active', 'expiring', 'degraded') AND c.last_failure IS DISTINCT FROM $4
             AND (c.last_refreshed_at IS NULL OR c.last_refreshed_at <= $2)""",
        list(providers),
        newest,
        unseen,
        RESTORED,
    )
    return [row["connection_id"] for row in rows]


async def doubt(db: Db, connection_ids: Sequence[UUID]) -> None:
    """Count an attempt with an unknown outcome, end every lease, and let the rule for those be applied at once."""
    await db.execute(
        """UPDATE schedule SET unknown_count = unknown_count + 1, epoch = epoch + 1, leased_until = '-infinity',
             refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE least(refresh_at, now()) END,
             probe_at = CASE WHEN probe_at IS NULL THEN NULL ELSE least(probe_at, now()) END
           WHERE connection_id = ANY($1)""",
        list(connection_ids),
    )


async def hurry(db: Db, connection_ids: Sequence[UUID]) -> None:
    """Refresh and probe these at once."""
    await db.execute(
        """UPDATE schedule SET refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE least(refresh_at, now()) END,
             probe_at = CASE WHEN probe_at IS NULL THEN NULL ELSE least(probe_at, now()) END
           WHERE connection_id = ANY($1)""",
        list(connection_ids),
    )


async def trust(db: Db, connection_ids: Sequence[UUID]) -> None:
    """Let what is stored be presented again: no attempt with it counts as unknown any more."""
    await db.execute(
        "UPDATE schedule SET unknown_count = 0, refresh_at = now() WHERE connection_id = ANY($1)",
        list(connection_ids),
    )


async def held(db: Db, provider: str | None = None) -> list[tuple[UUID, str, datetime | None]]:
    """Return the marked connections of a provider (None: of all): id, provider, end of the access token."""
    rows = await db.fetch(
        """SELECT connection_id, provider, access_expires_at FROM connection
           WHERE last_failure = $1 AND status IN ('active', 'expiring', 'degraded')
             AND ($2::text IS NULL OR provider = $2) ORDER BY provider, access_expires_at NULLS LAST, connection_id""",
        RESTORED,
        provider,
    )
    return [(row["connection_id"], row["provider"], row["access_expires_at"]) for row in rows]


async def count_held(db: Db) -> dict[str, int]:
    """Return how many connections of each provider are marked."""
    rows = await db.fetch(
        """SELECT provider, count(*) AS n FROM connection
           WHERE last_failure = $1 AND status IN ('active', 'expiring', 'degraded') GROUP BY provider""",
        RESTORED,
    )
    return {row["provider"]: row["n"] for row in rows}


async def living(db: Db, provider: str | None, connection_id: UUID | None) -> list[UUID]:
    """Return living connections: of a provider, or one of them, or all."""
    rows = await db.fetch(
        """SELECT connection_id FROM connection WHERE status IN ('active', 'expiring', 'degraded')
             AND ($1::text IS NULL OR provider = $1) AND ($2::uuid IS NULL OR connection_id = $2)
           ORDER BY connection_id""",
        provider,
        connection_id,
    )
    return [row["connection_id"] for row in rows]
