"""Accept each event once, in the transaction of its effect."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from common.postgres import Db, Pool, translate_errors

KEEP = timedelta(days=31)
"""Longer than any topic keeps a record, dead-letter topics included, so that a replay is recognised."""


async def accept(db: Db, consumer: str, event_id: UUID) -> bool:
    """True the first time this consumer sees the event. False: its effect is already there."""
    status = await db.execute(
        "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", consumer, event_id
    )
    return status == "INSERT 0 1"


@dataclass(frozen=True, slots=True)
class PurgeStatus:
    """How many rows one round forgot, and whether there are more."""

    forgotten: int
    more: bool


async def purge(pool: Pool, *, keep: timedelta = KEEP, batch: int = 5000) -> PurgeStatus:
    """Forget events that can no longer come again, at most `batch` of them."""
    with translate_errors():
        status = await pool.execute(
            """DELETE FROM inbox WHERE (consumer, event_id) IN (
                 SELECT consumer, event_id FROM inbox WHERE accepted_at < now() - $1::interval
                 ORDER BY accepted_at LIMIT $2)""",
            keep,
            batch,
        )
    forgotten = int(status.split()[-1])
    return PurgeStatus(forgotten, more=forgotten == batch)
