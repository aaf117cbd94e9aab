"""The newest incident of each platform."""

from collections.abc import Sequence
from datetime import datetime

from common.postgres import Db, Record
from rule_pauser.core.incidents import Incident

_LOCK = 0x494E_4349  # "INCI"
_COLUMNS = "incident_id, version, since, open, pausing_at"


async def lock_shared(db: Db) -> None:
    """Keep incidents as they are until the transaction ends: a rule that is being stored is about to look at them."""
    await db.execute("SELECT pg_advisory_xact_lock_shared($1)", _LOCK)


async def lock(db: Db) -> None:
    """Wait for the rules that are being stored, so that whoever is reconciled afterwards includes them."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def of_provider(db: Db, provider: str) -> Incident | None:
    """Return the newest incident of a platform that we have heard of."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM incident WHERE provider = $1", provider)
    return None if row is None else _incident(row)


async def not_pausing(db: Db) -> dict[str, Incident]:
    """Return open incidents that no rule is paused for, by platform."""
    rows = await db.fetch(f"SELECT provider, {_COLUMNS} FROM incident WHERE open AND pausing_at IS NULL")
    return {row["provider"]: _incident(row) for row in rows}


async def put(db: Db, provider: str, incident: Incident) -> None:
    """Store what is known of a platform's incident; `lock` was taken."""
    await db.execute(
        """INSERT INTO incident (provider, incident_id, version, since, open, pausing_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (provider) DO UPDATE
              SET incident_id = excluded.incident_id, version = excluded.version, since = excluded.since,
                  open = excluded.open, pausing_at = excluded.pausing_at""",
        provider,
        incident.incident_id,
        incident.version,
        incident.since,
        incident.open,
        incident.pausing_at,
    )


async def begin_pausing(db: Db, providers: Sequence[str], now: datetime) -> None:
    """From now on the accounts of these platforms do not work; `lock` was taken."""
    await db.execute("UPDATE incident SET pausing_at = $2 WHERE provider = ANY($1::text[])", providers, now)


async def count_pausing(db: Db) -> int:
    """Return how many platforms' rules are paused for an incident."""
    found: int = await db.fetchval("SELECT count(*) FROM incident WHERE pausing_at IS NOT NULL")
    return found


def _incident(row: Record) -> Incident:
    return Incident(row["incident_id"], row["version"], row["since"], row["open"], row["pausing_at"])
