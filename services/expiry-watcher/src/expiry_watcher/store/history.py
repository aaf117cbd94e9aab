"""The history table: one row per line, moved on when the same thing is said again."""

from collections.abc import Sequence
from uuid import UUID

from common.postgres import Db, Pool, translate_errors
from expiry_watcher.core.history import HistoryEvent, HistoryLine, What

_RECORD = """
INSERT INTO history (token_id, what, mark, version, first_at, last_at, detail)
SELECT l.token_id, l.what, l.mark, min(l.version), min(l.at), max(l.at), (array_agg(l.detail ORDER BY l.at))[1]
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::jsonb[])
    AS l(token_id, what, mark, version, at, detail)
 GROUP BY l.token_id, l.what, l.mark
 ORDER BY l.token_id, l.what, l.mark
    ON CONFLICT (token_id, what, mark) DO UPDATE
   SET first_at = least(history.first_at, excluded.first_at), last_at = greatest(history.last_at, excluded.last_at)
 WHERE excluded.first_at < history.first_at OR excluded.last_at > history.last_at
"""


async def record(db: Db, lines: Sequence[HistoryLine]) -> None:
    """Add lines; one that is there already only stretches its first and last time."""
    if not lines:
        return
    await db.execute(
        _RECORD,
        [line.token.token_id for line in lines],
        [line.what for line in lines],
        [line.mark for line in lines],
        [line.token.version for line in lines],
        [line.at for line in lines],
        [line.detail for line in lines],
    )


async def read(pool: Pool, token_id: UUID, limit: int) -> list[HistoryEvent]:
    """Return the latest lines of one token."""
    with translate_errors():
        rows = await pool.fetch(
            """SELECT what, version, first_at, last_at, detail FROM history
                WHERE token_id = $1 ORDER BY last_at DESC, version DESC LIMIT $2""",
            token_id,
            limit,
        )
    return [
        HistoryEvent(What(row["what"]), row["version"], row["first_at"], row["last_at"], row["detail"]) for row in rows
    ]
