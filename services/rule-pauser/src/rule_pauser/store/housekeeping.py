"""Forget what can no longer matter, a batch at a time."""

from datetime import datetime, timedelta

from common.postgres import Pool, translate_errors

BATCH = 5000
KEEP_RECONCILIATIONS = timedelta(days=30)
KEEP_DELETED = timedelta(days=90)
"""Until then a repeated definition of a deleted rule is recognised as old."""

_STATEMENTS = (
    (
        """DELETE FROM settlement WHERE settlement_id IN (
             SELECT settlement_id FROM settlement WHERE finished_at < $1 LIMIT $2)""",
        KEEP_RECONCILIATIONS,
    ),
    (
        """DELETE FROM automation_rule WHERE rule_id IN (
             SELECT rule_id FROM automation_rule WHERE deleted_at < $1 LIMIT $2)""",
        KEEP_DELETED,
    ),
)


async def tidy(pool: Pool, now: datetime) -> int:
    """Delete at most a batch of each; returns how many rows went."""
    gone = 0
    with translate_errors():
        for statement, keep in _STATEMENTS:
            gone += int((await pool.execute(statement, now - keep, BATCH)).split()[-1])
    return gone
