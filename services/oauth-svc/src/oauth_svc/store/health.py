"""One row per provider, shared by the replicas: the token bucket and the breaker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import INCIDENT_REASONS, INCIDENT_VERDICTS, IncidentVerdict
from common.postgres import Db


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """A provider as every replica sees it. `granted` is what this caller may call now."""

    granted: int
    open: bool
    reason: IncidentVerdict | None
    incident_id: UUID | None
    incident_version: int
    since: datetime | None
    affected: int
    wait_s: float
    reconsent_at: datetime | None = None


async def take(
    db: Db, provider: str, *, wanted: int, rate: float, burst: float, canary_every: timedelta
) -> ProviderHealth:
    """Take up to `wanted` calls out of the bucket; with the breaker open, one canary per `canary_every`.

    The bucket fills with the database's clock, so replicas share one rate.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        wanted: how many calls are asked for.
        rate: calls a second.
        burst: calls that may come at once.
        canary_every: the time between two trial calls while the breaker is open.

    """
    row = await db.fetchrow(
        """INSERT INTO provider_health AS h (provider, tokens) VALUES ($1, $3)
           ON CONFLICT (provider) DO UPDATE SET provider = h.provider
           RETURNING state, reason, incident_id, incident_version, since, affected, reconsent_at,
             least($3::float8, tokens + extract(epoch FROM clock_timestamp() - tokens_at)::float8 * $2::float8)
               AS tokens,
             extract(epoch FROM blocked_until - clock_timestamp())::float8 AS blocked_s,
             coalesce(next_canary_at, '-infinity') <= clock_timestamp() AS canary_due""",
        provider,
        rate,
        burst,
    )
    if row is None:  # pragma: no cover - an upsert with RETURNING always has a row
        raise LookupError(provider)
    is_open = row["state"] == "open"
    available = max(int(row["tokens"]), 0)
    blocked_s = row["blocked_s"] if row["blocked_s"] is not None and row["blocked_s"] > 0 else 0.0
    if is_open:
        granted = min(wanted, available, 1) if row["canary_due"] else 0
    else:
        granted = 0 if blocked_s > 0 else min(wanted, available)
    await db.execute(
        """UPDATE provider_health SET tokens = $2::float8 - $3::int, tokens_at = clock_timestamp(),
             next_canary_at = CASE WHEN state = 'open' AND $3::int > 0 THEN clock_timestamp() + $4::interval
                                   ELSE next_canary_at END
           WHERE provider = $1""",
        provider,
        row["tokens"],
        granted,
        canary_every,
    )
    wait_s = max(blocked_s, (1 - row["tokens"] + granted) / rate if granted == 0 else 0.0)
    return ProviderHealth(
        granted,
        is_open,
        INCIDENT_VERDICTS.get(row["reason"]),
        row["incident_id"],
        row["incident_version"],
        row["since"],
        row["affected"],
        wait_s,
        row["reconsent_at"],
    )


async def give_back(db: Db, provider: str, unused: int) -> None:
    """Calls that were taken and not made."""
    await db.execute("UPDATE provider_health SET tokens = tokens + $2::int WHERE provider = $1", provider, unused)


async def block(db: Db, provider: str, seconds: float) -> None:
    """The platform said how long to wait; no replica calls before that."""
    await db.execute(
        """UPDATE provider_health SET
             blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => $2))
           WHERE provider = $1""",
        provider,
        seconds,
    )


async def open_incident(
    db: Db, provider: str, *, incident_id: UUID, reason: IncidentVerdict, affected: int, now: datetime
) -> int | None:
    """Return open the breaker; the incident's version, or None when another replica opened it already.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        incident_id: the incident.
        reason: the platform's trouble.
        affected: how many connections it touches.
        now: the present time, in UTC.

    """
    await db.execute(
        "INSERT INTO provider_health (provider, tokens) VALUES ($1, 0) ON CONFLICT (provider) DO NOTHING", provider
    )
    version: int | None = await db.fetchval(
        """UPDATE provider_health SET state = 'open', reason = $2, incident_id = $3, incident_version = 1, since = $4,
             affected = $5, next_canary_at = clock_timestamp()
           WHERE provider = $1 AND state = 'closed' RETURNING incident_version""",
        provider,
        INCIDENT_REASONS[reason],
        incident_id,
        now,
        affected,
    )
    return version


async def close_incident(db: Db, provider: str) -> ProviderHealth | None:
    """Close the breaker; what it was, or None when it was closed already."""
    row = await db.fetchrow(
        """UPDATE provider_health SET state = 'closed', incident_version = incident_version + 1, next_canary_at = NULL
           WHERE provider = $1 AND state = 'open'
           RETURNING reason, incident_id, incident_version, since, affected""",
        provider,
    )
    if row is None:
        return None
    return ProviderHealth(
        0,
        False,
        INCIDENT_VERDICTS.get(row["reason"]),
        row["incident_id"],
        row["incident_version"],
        row["since"],
        row["affected"],
        0.0,
    )


async def mark_reconsent(db: Db, provider: str, since: datetime) -> None:
    """Remember that the platform has enforced a new consent."""
    await db.execute("UPDATE provider_health SET reconsent_at = $2 WHERE provider = $1", provider, since)


async def affected_workspaces(db: Db, provider: str, limit: int = 10_000) -> list[UUID]:
    rows = await db.fetch(
        """SELECT DISTINCT workspace_id FROM connection WHERE provider = $1
             AND status IN ('active', 'expiring', 'degraded') LIMIT $2""",
        provider,
        limit,
    )
    return [row["workspace_id"] for row in rows]


async def current(db: Db, provider: str) -> ProviderHealth | None:
    row = await db.fetchrow(
        """SELECT state, reason, incident_id, incident_version, since, affected, reconsent_at
           FROM provider_health WHERE provider = $1""",
        provider,
    )
    if row is None:
        return None
    return ProviderHealth(
        0,
        row["state"] == "open",
        INCIDENT_VERDICTS.get(row["reason"]),
        row["incident_id"],
        row["incident_version"],
        row["since"],
        row["affected"],
        0.0,
        row["reconsent_at"],
    )


async def open_providers(db: Db) -> set[str]:
    rows = await db.fetch("SELECT provider FROM provider_health WHERE state = 'open'")
    return {row["provider"] for row in rows}
