"""When there is something to do next: what lets the sweeps sleep until then."""

from collections.abc import Sequence
from datetime import datetime

from common.postgres import Db


async def next_refresh(db: Db, providers: Sequence[str]) -> datetime | None:
    """Return the earliest time at which a refresh is due; one index entry is read for each provider."""
    found: datetime | None = await db.fetchval(
        """SELECT min(first.refresh_at) FROM unnest($1::text[]) AS p(provider), LATERAL (
             SELECT refresh_at FROM schedule s WHERE s.provider = p.provider AND refresh_at IS NOT NULL
             ORDER BY refresh_at LIMIT 1) first""",
        list(providers),
    )
    return found


async def next_probe(db: Db, providers: Sequence[str]) -> datetime | None:
    """Return the earliest time at which a probe is due; one index entry is read for each provider."""
    found: datetime | None = await db.fetchval(
        """SELECT min(first.probe_at) FROM unnest($1::text[]) AS p(provider), LATERAL (
             SELECT probe_at FROM schedule s WHERE s.provider = p.provider AND probe_at IS NOT NULL
             ORDER BY probe_at LIMIT 1) first""",
        list(providers),
    )
    return found
