"""Doubts: refusals that are kept, and not believed, while a platform refuses many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import INCIDENT_VERDICTS, DetectedBy, IncidentVerdict, RevocationCause
from common.postgres import Db


@dataclass(frozen=True, slots=True)
class Doubt:
    """One refusal: what it would mean, were it alone. `cause` is None where the platform states none."""

    connection_id: UUID
    provider: str
    cause: RevocationCause | None
    detected_by: DetectedBy
    code: str
    ran_out: bool


@dataclass(frozen=True, slots=True)
class DoubtStanding:
    """The doubts of one provider together, beside its breaker.

    `same`: grants that are refused since the incident opened, because they were asked again or for the first time.
    """

    provider: str
    doubts: int
    same: int
    lives: int
    newest: datetime
    open: bool
    reason: IncidentVerdict | None
    since: datetime | None


async def put(db: Db, doubts: Sequence[Doubt], now: datetime) -> None:
    """Keep these. A grant that is refused once more keeps what was first said about it: it is the same word."""
    if not doubts:
        return
    await db.execute(
        """INSERT INTO doubt (connection_id, provider, cause, detected_by, code, ran_out, since)
           SELECT n.*, $7 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[]) AS n
           ON CONFLICT (connection_id) DO UPDATE SET word = 'same'""",
        [d.connection_id for d in doubts],
        [d.provider for d in doubts],
        [d.cause and d.cause.value for d in doubts],
        [d.detected_by.value for d in doubts],
        [d.code for d in doubts],
        [d.ran_out for d in doubts],
        now,
    )


async def standing(db: Db) -> list[DoubtStanding]:
    rows = await db.fetch(
        """SELECT d.provider, count(*) AS doubts,
             count(*) FILTER (WHERE word = 'same' OR word IS NULL AND d.since > h.since) AS same,
             count(*) FILTER (WHERE word = 'lives') AS lives, max(d.since) AS newest,
             coalesce(bool_or(h.state = 'open'), false) AS open, max(h.reason) AS reason, max(h.since) AS opened
           FROM doubt d LEFT JOIN provider_health h USING (provider) GROUP BY d.provider ORDER BY d.provider"""
    )
    return [
        DoubtStanding(
            r["provider"],
            r["doubts"],
            r["same"],
            r["lives"],
            r["newest"],
            r["open"],
            INCIDENT_VERDICTS.get(r["reason"]),
            r["opened"],
        )
        for r in rows
    ]


async def next_to_ask(db: Db, provider: str, now: datetime, every: timedelta) -> UUID | None:
    """Return the doubt that was not asked about for the longest time, marked as asked so that replicas take turns.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        now: the present time, in UTC.
        every: the shortest time between two questions.

    """
    found: UUID | None = await db.fetchval(
        """UPDATE doubt SET asked_at = $2::timestamptz WHERE connection_id = (
             SELECT connection_id FROM doubt
             WHERE provider = $1 AND (asked_at IS NULL OR asked_at <= $2::timestamptz - $3::interval)
             ORDER BY asked_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING connection_id""",
        provider,
        now,
        every,
    )
    return found


async def say(db: Db, connection_ids: Sequence[UUID], word: str) -> None:
    """What the platform answered when it was asked again about these."""
    await db.execute("UPDATE doubt SET word = $2 WHERE connection_id = ANY($1)", list(connection_ids), word)


async def of_provider(db: Db, provider: str, *, told: bool = False) -> list[UUID]:
    """Return the doubted grants of a provider; `told`: only those about which the platform has said a second word."""
    rows = await db.fetch(
        "SELECT connection_id FROM doubt WHERE provider = $1 AND (word IS NOT NULL OR NOT $2)", provider, told
    )
    return [row["connection_id"] for row in rows]


async def take(db: Db, connection_ids: Sequence[UUID]) -> list[Doubt]:
    """Take the doubts about grants that this transaction has locked, to settle them."""
    rows = await db.fetch(
        """DELETE FROM doubt WHERE connection_id = ANY($1)
           RETURNING connection_id, provider, cause, detected_by, code,
             coalesce(ran_out, cause IS NULL) AS ran_out""",
        list(connection_ids),
    )
    return [
        Doubt(
            r["connection_id"],
            r["provider"],
            RevocationCause(r["cause"]) if r["cause"] else None,
            DetectedBy(r["detected_by"]),
            r["code"],
            r["ran_out"],
        )
        for r in rows
    ]


async def drop(db: Db, connection_ids: Sequence[UUID]) -> None:
    """These grants are understood."""
    await db.execute("DELETE FROM doubt WHERE connection_id = ANY($1)", list(connection_ids))
