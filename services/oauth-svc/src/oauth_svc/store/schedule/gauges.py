"""What the schedule says of itself: counts for the gauges."""

from datetime import datetime

from common.postgres import Db


async def count_due(db: Db, now: datetime) -> list[tuple[str, int, int]]:
    """Per provider: refreshes that are due before the access token ends, and those planned though it has ended."""
    rows = await db.fetch(
        """SELECT provider, count(*) FILTER (WHERE refresh_at <= $1 AND (deadline > $1 OR deadline IS NULL)) AS in_time,
             count(*) FILTER (WHERE deadline <= $1) AS lapsed
           FROM schedule WHERE refresh_at IS NOT NULL GROUP BY provider""",
        now,
    )
    return [(row["provider"], row["in_time"], row["lapsed"]) for row in rows]
