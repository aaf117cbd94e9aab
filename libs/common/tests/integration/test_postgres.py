"""Migrations and transactions on a real PostgreSQL."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from common.postgres import MigrationError, migrate, open_pool, transaction
from common.runtime.errors import Retryable
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
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO thing VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()
    assert await pool.fetchval("SELECT count(*) FROM thing") == 0
    await pool.close()


async def test_a_server_that_is_away_means_try_again(unused_tcp_port: int) -> None:
    with pytest.raises(Retryable):
        await open_pool(f"postgresql://someone:pw@127.0.0.1:{unused_tcp_port}/x", application_name="test")


async def test_a_statement_that_takes_too_long_is_given_up(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test", command_timeout_s=2)
    with pytest.raises(Retryable):
        async with transaction(pool) as connection:
            await connection.execute("SELECT pg_sleep(30)")
    await pool.close()


async def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with postgresql://"):
        await open_pool("mysql://x", application_name="test")


async def test_a_connection_that_was_given_back_in_a_transaction_is_rolled_back(database: DatabaseFactory) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test", max_size=1)
    await pool.execute("CREATE TABLE thing (id int)")
    async with pool.acquire() as connection:
        with contextlib.suppress(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("INSERT INTO thing VALUES (1)")
                raise ZeroDivisionError
    assert await pool.fetchval("SELECT count(*) FROM thing") == 0
    await pool.close()


def test_no_source_leaves_session_state_on_a_pooled_connection() -> None:
    session_state = re.compile(
        r"\bpg_(try_)?advisory_lock\(|\bLISTEN \w|(execute|fetch\w*)\(\s*f?\"+SET (?!LOCAL)|WITH HOLD"
    )
    root = Path(__file__).parents[4]
    sources = [path for pattern in ("services/*/src", "libs/common/src") for path in root.glob(f"{pattern}/**/*.py")]
    assert sources
    own_connection = {"migrate.py", "stack.py"}  # these open connections of their own and close them
    for path in sources:
        if path.name not in own_connection:
            found = session_state.search(path.read_text())
            assert found is None, f"{path.relative_to(root)}: {found}"
