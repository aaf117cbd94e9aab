"""Numbered SQL files, each applied once, in order, under a lock.

Files live in `<package>/migrations/NNNN_name.sql`; the tables that every service needs (outbox, inbox, leases) come
with `common.outbox` and are applied first. A file that was applied never changes again: its digest is kept, and a
different text is refused, because otherwise two databases of the same version would differ.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import asyncpg

from common.runtime.retry import Backoff, retry_until
from common.telemetry.logs import get_logger
from wevion_tokens.postgres import translate_errors

_log = get_logger(__name__)

SHARED_PACKAGE = "common.outbox"
_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_LOCK = 0x5745_5649_4F4E  # "WEVION": one migration at a time in a database
_CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 3
"""How long a file waits for the lock of a table. Everything else queues behind a waiting ALTER TABLE, so it gives up
soon, lets the queue through and tries again."""
LOCK_PATIENCE_S = 120.0
"""How long a file is tried, and how long one process waits while another migrates."""
_LOCK_WAITS = Backoff(base_s=1, cap_s=10)


class MigrationError(Exception):
    """The database and the files disagree; nothing was changed by the file that is named."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    package: str
    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def collect(package: str) -> list[Migration]:
    """Return the migrations of a package in order, the shared ones first."""
    found: list[Migration] = []
    for owner in dict.fromkeys((SHARED_PACKAGE, package)):
        folder = files(owner) / "migrations"
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            if not path.name.endswith(".sql"):
                continue
            if _NAME.fullmatch(path.name) is None:
                raise MigrationError(f"{owner}/migrations/{path.name}: name it NNNN_what_it_does.sql")
            found.append(Migration(owner, path.name, path.read_text(encoding="utf-8")))
    numbers = [(migration.package, migration.name[:4]) for migration in found]
    for number in numbers:
        if numbers.count(number) > 1:
            raise MigrationError(f"{number[0]}: two migrations have the number {number[1]}")
    return found


async def migrate(dsn: str, package: str) -> list[str]:
    """Bring a database up to date; returns the names of the files that were applied now.

    Safe to run from every replica at once: one of them works, the others wait and find nothing to do.

    Raises:
        MigrationError: a file was changed after it had been applied, or its SQL failed.
        RetryableError: the server does not answer, or a table was in use by long transactions all the time.

    """
    with translate_errors():
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
        try:
            await connection.execute(f"SET lock_timeout = '{LOCK_PATIENCE_S:.0f}s'")
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            await connection.execute(
                """CREATE TABLE IF NOT EXISTS schema_migration (
                     package text NOT NULL, name text NOT NULL, digest text NOT NULL,
                     applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                     PRIMARY KEY (package, name))"""
            )
            rows = await connection.fetch("SELECT package, name, digest FROM schema_migration")
            known = {(row["package"], row["name"]): row["digest"] for row in rows}
            applied = []
            for migration in collect(package):
                digest = known.get((migration.package, migration.name))
                if digest is None:
                    await retry_until(
                        partial(_apply, connection, migration),
                        _LOCK_WAITS,
                        seed=migration.name,
                        on=(asyncpg.LockNotAvailableError,),
                        within_s=LOCK_PATIENCE_S,
                        waiting=partial(_say_waiting, migration),
                    )
                    applied.append(f"{migration.package}/{migration.name}")
                elif digest != migration.digest:
                    raise MigrationError(
                        f"{migration.package}/{migration.name} was changed after it had been applied; "
                        "write a new migration instead"
                    )
            return applied
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)


def _say_waiting(migration: Migration, _: Exception, attempt: int) -> None:
    _log.warning("migration_waits_for_lock", migration=f"{migration.package}/{migration.name}", attempt=attempt)


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (package, name, digest) VALUES ($1, $2, $3)",
                migration.package,
                migration.name,
                migration.digest,
            )
    except asyncpg.LockNotAvailableError:
        raise
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.package}/{migration.name}: {error}") from error
