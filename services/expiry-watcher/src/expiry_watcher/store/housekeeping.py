"""Forget what can no longer matter, a batch at a time."""

from datetime import datetime, timedelta

from common.postgres import Pool, translate_errors

BATCH = 5000
KEEP_MARKS = timedelta(days=90)
KEEP_HISTORY = timedelta(days=400)
"""A year and a month: "what happened last year at this time" can be answered."""
KEEP_PURGED = timedelta(days=45)
"""Longer than any topic keeps a record, dead letters included, so that no late event brings a purged token back."""

_STATEMENTS = (
    (
        # A token's own date keeps its mark for ever: a rebuild must not announce an old expiry again.
        """DELETE FROM warning_mark WHERE (token_id, expires_at) IN (
             SELECT m.token_id, m.expires_at FROM warning_mark m LEFT JOIN token t USING (token_id)
              WHERE m.expires_at < $1
                AND m.expires_at IS DISTINCT FROM
                    least(t.expires_at, CASE WHEN t.status = 'expired' THEN t.since END) LIMIT $2)""",
        KEEP_MARKS,
    ),
    (
        """DELETE FROM history WHERE (token_id, what, mark) IN (
             SELECT token_id, what, mark FROM history WHERE last_at < $1 LIMIT $2)""",
        KEEP_HISTORY,
    ),
    (
        "DELETE FROM token WHERE token_id IN (SELECT token_id FROM token WHERE purged_at < $1 LIMIT $2)",
        KEEP_PURGED,
    ),
)


async def tidy(pool: Pool, now: datetime) -> int:
    """Delete at most a batch of each; returns how many rows went."""
    gone = 0
    with translate_errors():
        for statement, keep in _STATEMENTS:
            gone += int((await pool.execute(statement, now - keep, BATCH)).split()[-1])
    return gone
