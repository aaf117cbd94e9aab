"""Which of asyncpg's errors say "not now". Needs the extra `postgres`."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from wevion_tokens.runtime.errors import RetryableError

_AWAY = (
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.InterfaceError,
    # A pooled connection that the server has just ended, and whose end was read only in part: no query can begin on it.
    # Also raised when no host of the URL takes writes (target_session_attrs).
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,  # 25006: a standby, or a server that protects a disk which is nearly full
    asyncpg.IdleInTransactionSessionTimeoutError,  # 25P03: the server ended a transaction that stood still
    asyncpg.TransactionRollbackError,  # class 40: serialization failures, deadlocks
    asyncpg.InsufficientResourcesError,  # class 53: disk full, out of memory, too many connections
    asyncpg.LockNotAvailableError,  # 55P03
    asyncpg.OperatorInterventionError,  # class 57: a cancelled statement (57014), shutdown, crash, start-up
    asyncpg.PostgresSystemError,  # class 58: the server's own input and output failed
    ConnectionError,
    TimeoutError,
    OSError,
)
"""What says "not now", and nothing about the statement (PostgreSQL manual, appendix A, error codes by class)."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn "the database is away or busy" into `RetryableError`; leave errors of our own making as they are."""
    try:
        yield
    except PermissionError:
        raise  # an OSError, but never the network's
    except _AWAY as error:
        raise RetryableError("the database did not answer") from error
