"""PostgreSQL: pools with time limits, transactions, migrations under a lock, and errors classed for the caller."""

from common.postgres.migrate import MigrationError, migrate
from common.postgres.pool import Connection, Pool, Record, open_pool, transaction, translate_errors

__all__ = [
    "Connection",
    "MigrationError",
    "Pool",
    "Record",
    "migrate",
    "open_pool",
    "transaction",
    "translate_errors",
]
