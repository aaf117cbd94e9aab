"""PostgreSQL: pools with time limits, transactions, migrations under a lock, and errors classed for the caller."""

from common.postgres.migrate import MigrationError, migrate
from common.postgres.pool import (
    STATEMENT_CACHE_SIZE,
    Connection,
    Pool,
    Record,
    connection,
    open_pool,
    transaction,
    translate_errors,
)

__all__ = [
    "STATEMENT_CACHE_SIZE",
    "Connection",
    "MigrationError",
    "Pool",
    "Record",
    "connection",
    "migrate",
    "open_pool",
    "transaction",
    "translate_errors",
]
