"""Migrations and transactions on a real PostgreSQL."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest
from asyncpg.exceptions import TargetServerAttributeNotMatched

from common.postgres import Db, MigrationError, Pool, migrate, open_pool, transaction, translate_errors
from common.runtime.errors import RetryableError
from common.testing import eventually
from common.testing.stack import DatabaseFactory


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package with a migrations folder, and its path."""
    folder = tmp_path / "example_member"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    loaded: ModuleType | None = sys.modules.pop("example_member", None)
    assert loaded is None or loaded.__name__ == "example_member"


async def test_each_file_is_applied_once_by_one_of_many(database: DatabaseFactory, package: Path) -> None:
    (package / "migrations" / "0001_thing.sql").write_text("CREATE TABLE thing (id int)")
    dsn = await database("common.outbox")
    applied = await asyncio.gather(*(migrate(dsn, "example_member") for _ in range(4)))
    assert sorted(applied) == [[], [], [], ["example_member/0001_thing.sql"]]
    (package / "migrations" / "0002_more.sql").write_text("ALTER TABLE thing ADD COLUMN name text")
    assert await migrate(dsn, "example_member") == ["example_member/0002_more.sql"]
    assert await migrate(dsn, "example_member") == []


async def test_a_file_that_fails_changes_nothing_and_is_named(database: DatabaseFactory, package: Path) -> None:
    (package / "migrations" / "0001_bad.sql").write_text("CREATE TABLE half (id int); SELECT nonsense")
    dsn = await database("common.outbox")
    with pytest.raises(MigrationError, match=r"example_member/0001_bad\.sql: column"):
        await migrate(dsn, "example_member")
    pool = await open_pool(dsn, application_name="test")
    assert await pool.fetchval("SELECT to_regclass('half')") is None
    await pool.close()


async def test_a_file_that_was_changed_later_is_refused(database: DatabaseFactory, package: Path) -> None:
    path = package / "migrations" / "0001_thing.sql"
    path.write_text("CREATE TABLE thing (id int)")
    dsn = await database("common.outbox")
    await migrate(dsn, "example_member")
    path.write_text("CREATE TABLE thing (id bigint)")
    with pytest.raises(MigrationError, match="was changed after it had been applied"):
        await migrate(dsn, "example_member")


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (["1_thing.sql"], "name it NNNN_what_it_does.sql"),
        (["0001_a.sql", "0001_b.sql"], "two migrations have the number"),
    ],
)
async def test_a_badly_named_file_is_refused(
    database: DatabaseFactory, package: Path, names: list[str], rule: str
) -> None:
    for name in names:
        (package / "migrations" / name).write_text("SELECT 1")
    dsn = await database("common.outbox")
    with pytest.raises(MigrationError, match=rule):
        await migrate(dsn, "example_member")


async def test_an_error_rolls_back_and_reaches_the_caller(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test")
    await pool.execute("CREATE TABLE thing (id int)")

    async def fail_halfway() -> None:
        async with transaction(pool) as db:
            await db.execute("INSERT INTO thing VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()
    assert await pool.fetchval("SELECT count(*) FROM thing") == 0
    await pool.close()


async def test_a_server_that_is_away_means_try_again(unused_tcp_port: int) -> None:
    with pytest.raises(RetryableError):
        await open_pool(f"postgresql://someone:pw@127.0.0.1:{unused_tcp_port}/x", application_name="test")


async def test_a_statement_that_takes_too_long_is_given_up(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test", command_timeout_s=2)
    with pytest.raises(RetryableError):
        async with transaction(pool) as db:
            await db.execute("SELECT pg_sleep(30)")
    await pool.close()


async def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with postgresql://"):
        await open_pool("mysql://x", application_name="test")


async def test_a_connection_that_was_given_back_in_a_transaction_is_rolled_back(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test", max_size=1)
    await pool.execute("CREATE TABLE thing (id int)")
    async with pool.acquire() as db:
        with contextlib.suppress(ZeroDivisionError):
            async with db.transaction():
                await db.execute("INSERT INTO thing VALUES (1)")
                raise ZeroDivisionError
    assert await pool.fetchval("SELECT count(*) FROM thing") == 0
    await pool.close()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError,
        asyncpg.OutOfMemoryError,
        asyncpg.TooManyConnectionsError,
        asyncpg.ConfigurationLimitExceededError,
        asyncpg.QueryCanceledError,
        asyncpg.AdminShutdownError,
        asyncpg.CannotConnectNowError,
        asyncpg.PostgresIOError,
        asyncpg.UndefinedFileError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.DeadlockDetectedError,
        asyncpg.ConnectionDoesNotExistError,
        TargetServerAttributeNotMatched,
        ConnectionResetError,
    ],
)
def test_a_database_that_cannot_now_is_away(error: type[Exception]) -> None:
    with pytest.raises(RetryableError), translate_errors():
        raise error("as the server says it")


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError,
        asyncpg.UndefinedTableError,
        asyncpg.DataError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.DataCorruptedError,
        PermissionError,
        ZeroDivisionError,
    ],
)
def test_an_error_of_the_statement_stays_what_it_is(error: type[Exception]) -> None:
    with pytest.raises(error), translate_errors():
        raise error("ours")


async def test_a_statement_that_an_operator_cancels_means_try_again(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test", max_size=2)

    async def sleep() -> None:
        async with transaction(pool) as db:
            await db.execute("SELECT pg_sleep(60)")

    sleeping = asyncio.create_task(sleep())
    await eventually(
        lambda: pool.fetchval(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'"
        )
    )
    with pytest.raises(RetryableError):
        await sleeping
    await pool.close()


async def test_connections_that_turned_read_only_are_replaced_when_the_database_takes_writes_again(
    database: DatabaseFactory,
) -> None:
    dsn = await database("common.outbox")
    admin = await asyncpg.connect(dsn)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    pool = await open_pool(dsn, application_name="test", min_size=3, max_size=3)
    for _ in range(3):
        with pytest.raises(RetryableError):
            await _forget_inbox(pool)
    assert await pool.fetchval("SELECT count(*) FROM inbox") == 0  # reads go on meanwhile
    await admin.execute("SET default_transaction_read_only = off")
    await admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await admin.close()

    async def writes() -> bool:
        with contextlib.suppress(RetryableError):
            for _ in range(6):
                await _forget_inbox(pool)
            return True
        return False

    await eventually(writes)
    await pool.close()


async def _forget_inbox(pool: Pool) -> None:
    async with transaction(pool) as db:
        await db.execute("DELETE FROM inbox")


async def test_of_several_hosts_the_one_that_takes_writes_is_used(
    database: DatabaseFactory, unused_tcp_port: int
) -> None:
    dsn = await database("common.outbox")
    credentials, _, rest = dsn.rpartition("@")
    host, _, path = rest.partition("/")
    admin = await asyncpg.connect(dsn)
    name = await admin.fetchval("SELECT current_database()")
    several = f"{credentials}@127.0.0.1:{unused_tcp_port},{host}/{path}"
    pool = await open_pool(several, application_name="test")
    await pool.execute("DELETE FROM inbox")
    await pool.close()
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(RetryableError):
        await open_pool(several, application_name="test")
    reading = await open_pool(f"{several}?target_session_attrs=any", application_name="test")
    await reading.close()
    await admin.close()


async def test_without_a_statement_cache_a_session_asks_for_nothing_that_a_pooler_refuses(
    database: DatabaseFactory,
) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="behind", statement_cache_size=0)
    assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "0"
    assert await pool.fetchval("SHOW application_name") == "behind"
    assert await pool.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
    await pool.close()


async def test_a_migration_does_not_hold_up_readers_while_it_waits_for_its_lock(
    database: DatabaseFactory, package: Path
) -> None:
    (package / "migrations" / "0001_wide.sql").write_text("ALTER TABLE inbox ADD COLUMN note text")
    dsn = await database("common.outbox")
    reader, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM inbox")
    migrating = asyncio.create_task(migrate(dsn, "example_member"))
    waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
    waiting += " WHERE NOT granted AND datname = current_database() AND locktype = 'relation'"
    await eventually(lambda: other.fetchval(waiting))
    await eventually(lambda: _lets_go(other, waiting))  # without the reader's end: it gives up and tries later
    await other.fetch("SELECT * FROM inbox")
    await reading.rollback()
    assert await migrating == ["example_member/0001_wide.sql"]
    await reader.close()
    await other.close()


async def _lets_go(db: Db, waiting: str) -> bool:
    return not await db.fetchval(waiting)


def test_no_source_leaves_session_state_on_a_pooled_connection() -> None:
    session_state = re.compile(
        r"\bpg_(try_)?advisory_lock\(|\bLISTEN \w|(execute|fetch\w*)\(\s*f?\"+SET (?!LOCAL)|WITH HOLD"
    )
    root = Path(__file__).parents[4]
    sources = [path for pattern in ("services/*/src", "libs/common/src") for path in root.glob(f"{pattern}/**/*.py")]
    assert sources
    own_connection = {"migrate.py", "listening.py", "stack.py"}  # these open connections of their own and close them
    for path in sources:
        if path.name not in own_connection:
            found = session_state.search(path.read_text())
            assert found is None, f"{path.relative_to(root)}: {found}"
