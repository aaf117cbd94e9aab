"""One way to reach the database, with a limit on everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import asyncpg
from pydantic_core import from_json, to_json

from common.runtime.clock import monotonic
from wevion_tokens.postgres import translate_errors

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Db: TypeAlias = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Record: TypeAlias = asyncpg.Record
else:
    Pool = asyncpg.Pool
    Db = asyncpg.Connection
    Record = asyncpg.Record

ACQUIRE_TIMEOUT_S = 5.0
"""How long a request waits for a free connection before it says that the database is busy."""

READ_ONLY_FOR_AT_MOST_S = 1.0
"""A connection on which the server refuses to write is replaced when it is this old, so that recovery is noticed."""
IDLE_CLOSE_S = 20.0
"""A connection that nobody needed for this long is closed, down to `min_size`; each costs the server some MB."""
STATEMENT_CACHE_SIZE = 1024
"""Prepared statements that a connection keeps where nothing stands between us and the server."""

_opened_at: "WeakKeyDictionary[asyncpg.Connection[asyncpg.Record], float]" = WeakKeyDictionary()
"""When each connection of a pool was opened, on the monotonic clock."""


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    _opened_at[connection] = monotonic()
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_dump_json, decoder=from_json, schema="pg_catalog")


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No round trip when a connection goes back to the pool; one that cannot write is closed instead.

    asyncpg itself has rolled back an open transaction by then. Its default would also undo session settings, LISTEN
    and session locks with a statement of its own, which doubles the round trips of a one-row read; so pooled
    connections must not use those: SET LOCAL and transaction locks only (a test reads the source for it).

    A session keeps the read-only state that it began with, also when the database takes writes again, or when a proxy
    leads to another server by now: only a new connection can recover. PostgreSQL 14 and later report the state by
    themselves, so asking costs nothing.
    """
    settings = connection.get_settings()
    read_only = (getattr(settings, name, "off") for name in ("default_transaction_read_only", "in_hot_standby"))
    if "on" in read_only and monotonic() - _opened_at[connection] > READ_ONLY_FOR_AT_MOST_S:
        connection.terminate()


def _dump_json(value: object) -> str:
    return to_json(value).decode()


def _session_settings(application_name: str, *, direct: bool) -> dict[str, str]:
    """Return the settings of a session. pgbouncer passes only the first two on, and refuses any other."""
    settings = {"application_name": application_name, "timezone": "UTC"}
    if direct:
        settings |= {
            # A transaction that nobody drives any more would hold its locks and stop the outbox from shrinking.
            "idle_in_transaction_session_timeout": "30000",
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }
    return settings


def _session_target(dsn: str) -> dict[str, Any]:
    """With several hosts: the one that takes writes, unless the URL names another kind of session."""
    parts = urlsplit(dsn)
    several = "," in parts.netloc.rpartition("@")[2]
    return {"target_session_attrs": "read-write"} if several and "target_session_attrs" not in parts.query else {}


async def open_pool(
    dsn: str,
    *,
    application_name: str,
    min_size: int = 1,
    max_size: int = 10,
    command_timeout_s: float = 10.0,
    statement_cache_size: int = STATEMENT_CACHE_SIZE,
) -> Pool:
    """Return open a pool whose statements, transactions and sockets all have limits.

    Args:
        dsn: `postgresql://user:password@host:port/database`; several hosts are separated by commas, and then the one
            that takes writes is used, unless `target_session_attrs` in the URL says otherwise.
        application_name: shown in `pg_stat_activity`.
        min_size: connections kept open. Every one costs some MB on the server.
        max_size: connections at most.
        command_timeout_s: a statement that takes longer is given up. A black hole shows after about twice this.
        statement_cache_size: prepared statements that a connection keeps. 0 behind pgbouncer in transaction mode: then
            none are kept, and the settings that pgbouncer refuses at the start of a session are left to the role
            (docs/sre.md says which).

    Returns:
        The open pool.

    Raises:
        RetryableError: the server does not answer, or is starting.

    """
    if urlsplit(dsn).scheme not in ("postgresql", "postgres"):
        raise ValueError("the database URL must start with postgresql://")
    with translate_errors():
        pool: Pool = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            command_timeout=command_timeout_s,
            timeout=command_timeout_s,
            max_inactive_connection_lifetime=IDLE_CLOSE_S,
            statement_cache_size=statement_cache_size,
            init=_prepare,
            reset=_keep,
            server_settings=_session_settings(application_name, direct=statement_cache_size > 0),
            **_session_target(dsn),
        )
    return pool


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Db]:
    """Yield a connection without a transaction, for reads and for single statements.

    Raises:
        RetryableError: no connection was free in time, or the server went away.

    """
    with translate_errors():
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as found:
            yield found


@asynccontextmanager
async def transaction(pool: Pool, *, timeout_s: float = 30.0) -> AsyncIterator[Db]:
    """Yield a connection inside a transaction: committed when the block ends, rolled back when it raises.

    Raises:
        RetryableError: no connection was free in time, the server went away, or the whole block took over `timeout_s`.
            Whether the transaction was committed is then unknown; do the same again (idempotently).

    """
    with translate_errors():
        async with (
            asyncio.timeout(timeout_s),
            pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as found,
            found.transaction(),
        ):
            yield found
