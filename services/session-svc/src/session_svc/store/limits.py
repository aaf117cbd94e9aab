"""The times of rate limits, shared by all replicas."""

from collections.abc import Mapping
from datetime import datetime

from common.postgres import Db, Pool


async def lock(db: Db, keys: list[str]) -> tuple[datetime, Mapping[str, datetime]]:
    """Return the moment, by the database's clock, and the times of the keys, locked. A new key begins at the moment.

    All replicas share the times, so they have to share the clock too: a process whose clock is ahead would otherwise
    write times that lie in the future of every other one.
    """
    await db.execute(
        """INSERT INTO rate_limits (key, tat) SELECT key, clock_timestamp() FROM unnest($1::text[]) AS key ORDER BY key
           ON CONFLICT DO NOTHING""",
        keys,
    )
    rows = await db.fetch("SELECT key, tat FROM rate_limits WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE", keys)
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")  # after the wait for the locks
    return moment, {row["key"]: row["tat"] for row in rows}


async def save(db: Db, times: Mapping[str, datetime]) -> None:
    """New times of locked keys."""
    await db.execute(
        """UPDATE rate_limits AS r SET tat = c.tat FROM unnest($1::text[], $2::timestamptz[]) AS c (key, tat)
           WHERE r.key = c.key""",
        list(times),
        list(times.values()),
    )


async def forget(db: Db | Pool, keys: list[str]) -> None:
    """These keys start anew."""
    await db.execute("DELETE FROM rate_limits WHERE key = ANY($1::text[])", keys)


async def forget_account(db: Db, account: str) -> None:
    """Lift every limit on signing in to an account, from wherever it was tried."""
    await db.execute(
        "DELETE FROM rate_limits WHERE key = 'sign_in:account:' || $1 OR key LIKE 'sign_in:pair:' || $1 || ':%'",
        account,
    )


async def purge(pool: Pool) -> int:
    """Forget keys that limit nothing any more; returns how many."""
    status = await pool.execute("DELETE FROM rate_limits WHERE tat < clock_timestamp()")
    return int(status.split()[-1])
