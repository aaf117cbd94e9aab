"""Many tracked tokens for expiry-watcher, put into its tables by SQL as its migrations have them."""

from datetime import datetime, timedelta

import asyncpg

LEAD = timedelta(days=14)
"""The first stage of the default ladder: a token is due this long before its full expiry."""

_TOKENS = """
INSERT INTO token (token_id, kind, provider, workspace_id, owner_user_id, version, whole, status, since, expires_at,
                   accounts)
SELECT token_id, 'platform_oauth', 'meta', gen_random_uuid(), gen_random_uuid(), 1, true, 'active', now(),
       due_at + $1::interval, $2::jsonb
  FROM wanted
"""
_DEADLINES = """
INSERT INTO deadline (token_id, expires_at, due_at) SELECT token_id, due_at + $1::interval, due_at FROM wanted
"""
_LATER = """
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
SELECT gen_random_uuid() AS token_id, now() + interval '1 day' + n * (interval '59 days' / {count}) AS due_at
  FROM generate_series(1, {count}) AS n
"""
_SOON = """
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
SELECT gen_random_uuid() AS token_id, now() + interval '{in_s} seconds' + n * interval '{gap_s} seconds' AS due_at
  FROM generate_series(0, {count} - 1) AS n
"""
_NO_ACCOUNTS = "[]"
_ACCOUNT = '[{"account_id": "0190f3a0-0000-7000-8000-000000000001", "external_id": "act_1", "name": "Northwind"}]'


async def track(dsn: str, count: int) -> None:
    """`count` tokens that are due in one to sixty days, spread evenly.

    They have no accounts: a sweep with nothing due reads no token, so accounts would only lengthen the seeding.
    """
    db = await asyncpg.connect(dsn)
    try:
        await _seed(db, _LATER.format(count=count), _NO_ACCOUNTS)
        for table in ("token", "deadline"):  # now, and not by autovacuum in the middle of a window
            await db.execute(f"VACUUM (ANALYZE) {table}")
        await db.execute("CHECKPOINT")
    finally:
        await db.close()


async def make_due(dsn: str, count: int, *, in_s: float, per_s: float | None = None) -> dict[str, datetime]:
    """`count` more tokens with an account each, due in `in_s` seconds, all at once or `per_s` of them a second.

    Returns when each is due, by the token's id.
    """
    db = await asyncpg.connect(dsn)
    try:
        return await _seed(db, _SOON.format(count=count, in_s=in_s, gap_s=0 if per_s is None else 1 / per_s), _ACCOUNT)
    finally:
        await db.close()


async def last_marked(dsn: str) -> datetime:
    """When the last sweep began that had something to say."""
    db = await asyncpg.connect(dsn)
    try:
        moment: datetime = await db.fetchval("SELECT max(marked_at) FROM warning_mark")
    finally:
        await db.close()
    return moment


async def _seed(db: asyncpg.Connection, wanted: str, accounts: str) -> dict[str, datetime]:
    async with db.transaction():
        await db.execute(wanted)
        await db.execute(_TOKENS, LEAD, accounts)
        await db.execute(_DEADLINES, LEAD)
        if accounts == _NO_ACCOUNTS:
            return {}
        rows = await db.fetch("SELECT token_id, due_at FROM wanted")
    return {str(row["token_id"]): row["due_at"] for row in rows}
