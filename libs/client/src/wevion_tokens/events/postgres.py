"""The inbox in PostgreSQL, by asyncpg: two tables of yours. Needs the extra `postgres`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from wevion_tokens.contracts import Event, EventBody
from wevion_tokens.events.inbox import family
from wevion_tokens.postgres import translate_errors

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    ConnectionPool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    ConnectionPool = asyncpg.Pool

KEEP = timedelta(days=31)
"""Longer than any topic keeps a record, dead-letter topics included, so that a replay is recognised."""

TABLES = """
CREATE TABLE IF NOT EXISTS wevion_inbox (
  consumer text NOT NULL,
  event_id uuid NOT NULL,
  accepted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX IF NOT EXISTS wevion_inbox_accepted_at ON wevion_inbox (accepted_at);
CREATE TABLE IF NOT EXISTS wevion_versions (
  consumer text NOT NULL,
  family text NOT NULL,
  subject text NOT NULL,
  version integer NOT NULL,
  PRIMARY KEY (consumer, family, subject)
);
"""
"""For a migration of yours; `prepare` runs it."""

_ACCEPT = """
WITH seen AS (
  INSERT INTO wevion_inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1
), newest AS (
  INSERT INTO wevion_versions AS held (consumer, family, subject, version)
  SELECT $1, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM seen)
  ON CONFLICT (consumer, family, subject) DO UPDATE SET version = excluded.version
    WHERE held.version <= excluded.version
  RETURNING 1
)
SELECT EXISTS (SELECT 1 FROM newest)
"""


class PostgresInbox:
    """Accepts each event once, in the transaction that its handlers get.

    Args:
        pool: your own; the tables `wevion_inbox` and `wevion_versions` are in its database.

    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        """Create the tables where they are missing. Raises RetryableError while the database is away."""
        with translate_errors():
            await self._pool.execute(TABLES)

    @asynccontextmanager
    async def accept(self, consumer: str, event: Event[EventBody]) -> AsyncIterator[Connection | None]:
        """Yield the connection inside of a transaction; None for a repeat, or what was overtaken.

        Raises:
            RetryableError: the database is away or busy; the event comes again.

        """
        subject, version = event.body.subject(), event.body.aggregate_version()
        with translate_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                new = await connection.fetchval(_ACCEPT, consumer, event.id, family(event), subject, version)
                yield connection if new else None

    async def purge(self, keep: timedelta = KEEP) -> None:
        """Forget events that can no longer come again; call it once a day. Raises RetryableError."""
        with translate_errors():
            await self._pool.execute("DELETE FROM wevion_inbox WHERE accepted_at < now() - $1::interval", keep)
