"""One way to reach the database, with a limit on everything."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from pydantic_core import from_json, to_json

from common.runtime.errors import Retryable

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Record: TypeAlias = asyncpg.Record
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection
    Record = asyncpg.Record

ACQUIRE_TIMEOUT_S = 5.0
"""How long a request waits for a free connection before it says that the database is busy."""

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A pooled connection that the server has just ended, and whose end was read only in part: no query can begin on it.
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
    TimeoutError,
    OSError,
)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn "the database is away or busy" into `Retryable`; leave errors of our own making as they are."""
    try:
        yield
    except PermissionError:
        raise  # an OSError, but never the network's
    except _AWAY as error:
        raise Retryable("the database did not answer") from error


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_dump_json, decoder=from_json, schema="pg_catalog")


async def _keep(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No round trip when a connection goes back to the pool.

    asyncpg itself has rolled back an open transaction by then. Its default would also undo session settings, LISTEN
    and session locks with a statement of its own, which doubles the round trips of a one-row read; so pooled
    connections must not use those: SET LOCAL and transaction locks only (a test reads the source for it).
    """


def _dump_json(value: object) -> str:
    return to_json(value).decode()


async def open_pool(
    dsn: str,
    *,
    application_name: str,
    min_size: int = 1,
    max_size: int = 10,
    command_timeout_s: float = 10.0,
    statement_cache_size: int = 1024,
) -> Pool:
    """Open a pool whose statements, transactions and sockets all have limits.

    Args:
        dsn: `postgresql://user:password@host:port/database`.
        application_name: shown in `pg_stat_activity`.
        min_size: connections kept open. Every one costs some MB on the server.
        max_size: connections at most.
        command_timeout_s: a statement that takes longer is given up. A black hole shows after about twice this.
        statement_cache_size: 0 behind pgbouncer in transaction mode.

    Raises:
        Retryable: the server does not answer, or is starting.

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
            max_inactive_connection_lifetime=300,
            statement_cache_size=statement_cache_size,
            init=_prepare,
            reset=_keep,
            server_settings={
                "application_name": application_name,
                # A transaction that nobody drives any more would hold its locks and stop the outbox from shrinking.
                "idle_in_transaction_session_timeout": "30000",
                "tcp_keepalives_idle": "15",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                "timezone": "UTC",
            },
        )
    return pool


@asynccontextmanager
async def transaction(pool: Pool, *, timeout_s: float = 30.0) -> AsyncIterator[Connection]:
    """A connection inside a transaction: committed when the block ends, rolled back when it raises.

    Raises:
        Retryable: no connection was free in time, the server went away, or the whole block took over `timeout_s`.
            Whether the transaction was committed is then unknown; do the same again (idempotently).

    """
    with translate_errors():
        async with (
            asyncio.timeout(timeout_s),
            pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            yield connection


async def fetch_value(pool: Pool, sql: str, *arguments: Any) -> Any:
    """One value of one row; for health checks and small look-ups."""
    with translate_errors():
        return await pool.fetchval(sql, *arguments)
