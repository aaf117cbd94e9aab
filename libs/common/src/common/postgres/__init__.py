"""PostgreSQL: pools with time limits, transactions, migrations under a lock, and errors classed for the caller."""

from common.postgres.listening import listen
from common.postgres.migrate import MigrationError, migrate
from common.postgres.pool import (
    STATEMENT_CACHE_SIZE,
    Db,
    Pool,
    Record,
    connection,
    open_pool,
    transaction,
)
from wevion_tokens.postgres import translate_errors

__all__ = [
    "STATEMENT_CACHE_SIZE",
    "Db",
    "MigrationError",
    "Pool",
    "Record",
    "connection",
    "listen",
    "migrate",
    "open_pool",
    "transaction",
    "translate_errors",
]
