"""Each example against the whole stack, killed in the middle again and again: every effect is there once."""

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from common.testing import eventually
from common.testing.processes.ports import choose_port
from devstack.browser import Browser, RefusedError
from devstack.child_stack import ChildStack
from devstack.platforms import Platforms

pytestmark = pytest.mark.timeout(600)

EXAMPLES = Path(__file__).parents[2] / "examples"
JOBS, KILLS = 40, 5


@pytest.fixture
def settings(stack: ChildStack) -> dict[str, str]:
    """What `set -a; . backend.env` gives a shell."""
    lines = [line for line in (stack.folder / "backend.env").read_text().splitlines() if not line.startswith("#")]
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


@pytest.fixture
async def playground(settings: dict[str, str]) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    async with asyncpg.create_pool(settings["EXAMPLE_DATABASE_URL"], min_size=1, max_size=2) as pool:
        yield pool


@pytest.fixture
async def owner(stack: ChildStack) -> AsyncIterator[Browser]:
    user = next(each for each in stack.demo["users"] if each["role"] == "owner")
    async with Browser(stack.demo["gateway_url"]) as browser:
        await browser.sign_in(user["email"], user["password"])
        yield browser


@pytest.fixture
async def platforms(stack: ChildStack) -> AsyncIterator[Platforms]:
    async with aiohttp.ClientSession() as http:
        yield Platforms(http, stack.demo["simulator_control_url"])


@contextmanager
def running(settings: dict[str, str], *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program with these settings, which is killed at the end of the block."""
    process = subprocess.Popen([sys.executable, *command], env=os.environ | settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def connection_of(owner: Browser, provider: str, status: str) -> tuple[str, str]:
    """A connection of the demo workspace in this state, and one of its accounts."""
    page = await owner.get("/api/v1/connections", limit="100")
    found = next(each for each in page["items"] if (each["provider"], each["status"]) == (provider, status))
    shown = await owner.get(f"/api/v1/connections/{found['connection_id']}")
    return found["connection_id"], shown["accounts"][0]["account_id"]


@dataclass
class SyncService:
    """The example as its callers see it."""

    url: str
    jwt: str
    pool: "asyncpg.Pool[asyncpg.Record]"

    async def call(self, method: str, path: str, *, signed_in: bool = True) -> Any:
        headers = {"Authorization": f"Bearer {self.jwt}"} if signed_in else {}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.url + path, headers=headers) as answer,
        ):
            return await answer.json(content_type=None)

    async def ready(self) -> bool:
        try:
            said = await self.call("GET", "/readyz", signed_in=False)
        except aiohttp.ClientConnectionError:
            return False
        return set(said.values()) == {"ready"}

    async def ask(self, account_id: str) -> int:
        return int((await self.call("POST", f"/jobs/{account_id}"))["job_id"])

    async def is_in(self, state: str, job_id: int) -> Any:
        shown = await self.call("GET", f"/jobs/{job_id}")
        return shown if shown["state"] == state else None

    async def done(self, at_least: int) -> bool:
        count: int = await self.pool.fetchval("SELECT count(*) FROM job WHERE state = 'done'")
        return count >= at_least


async def test_the_sync_service_does_each_job_once_and_stops_with_its_token(
    settings: dict[str, str], playground: "asyncpg.Pool[asyncpg.Record]", owner: Browser, platforms: Platforms
) -> None:
    port = choose_port()
    command = ("-m", "uvicorn", "--app-dir", str(EXAMPLES / "sync_service"), "--port", str(port), "service:app")
    _, working = await connection_of(owner, "meta", "active")
    ended, dead = await connection_of(owner, "meta", "revoked")
    service = SyncService(f"http://127.0.0.1:{port}", await owner.jwt(), playground)
    with running(settings, *command):
        await eventually(service.ready, 60, what="the service is ready")
        assert (await service.call("POST", f"/jobs/{working}", signed_in=False))["code"] == "token_missing"
        jobs = [await service.ask(working) for _ in range(JOBS)]
    for target in range(JOBS // KILLS, JOBS, JOBS // KILLS):
        with running(settings, *command):
            await eventually(partial(service.done, target), 60, what=f"{target} jobs are done")
    with running(settings, *command):
        await eventually(service.ready, 60, what="the service is ready")
        await eventually(partial(service.done, JOBS), 60, what="every job is done")
        results = [row["job_id"] for row in await playground.fetch("SELECT job_id FROM result")]
        assert sorted(results) == sorted(jobs), "each result once"

        asked = await service.ask(dead)
        told = await eventually(partial(service.is_in, "stopped", asked), 30, what="the job of a dead token stops")
        assert ended in told["fix_url"]
        await owner.consent("meta", "jordan", connection_id=ended)
        await eventually(partial(service.is_in, "done", asked), 60, what="somebody clicked, and the job is done")
        await platforms.revoke("meta", "jordan", cause="user_revoked")  # as the demo workspace had it


async def test_the_rules_engine_notes_each_change_once(
    settings: dict[str, str], playground: "asyncpg.Pool[asyncpg.Record]", owner: Browser, platforms: Platforms
) -> None:
    provider, person = "google-ads", "jordan"
    back = await owner.consent(provider, person)
    connection = back.query["connection_id"]
    account = (await owner.get(f"/api/v1/connections/{connection}"))["accounts"][0]["account_id"]
    command = str(EXAMPLES / "rules_engine" / "engine.py")

    async def says(*, runs: bool) -> bool:
        try:
            found = await playground.fetchval("SELECT runs FROM automation WHERE account_id = $1", account)
        except asyncpg.UndefinedTableError:
            return False
        return found is runs

    async def revoke() -> None:
        await platforms.revoke(provider, person)
        with suppress(RefusedError):  # the platform's own signal was faster
            await owner.post(f"/api/v1/connections/{connection}/refresh")

    async def noted() -> Counter[bool]:
        rows = await playground.fetch("SELECT runs FROM change WHERE account_id = $1", account)
        return Counter(row["runs"] for row in rows)

    with running(settings, command):
        await eventually(lambda: says(runs=True), 60, what="it knows everything")
    before = await noted()  # the account may have had another life before this test
    for _ in range(3):
        with running(settings, command):  # killed as soon as the change is there, or before its offset is committed
            await revoke()
            await eventually(lambda: says(runs=False), 60, what="it stops")
        await owner.consent(provider, person, connection_id=connection)
        with running(settings, command):
            await eventually(lambda: says(runs=True), 60, what="it goes on")
    with running(settings, command) as process:
        await revoke()
        await eventually(lambda: says(runs=False), 60, what="it stops")
        process.send_signal(signal.SIGTERM)
        assert await eventually(lambda: process.poll() is not None, 30, what="it ends in good order")
        assert process.returncode == 0
    assert await noted() - before == {True: 3, False: 4}


async def test_the_blocking_worker_does_each_job_once(settings: dict[str, str], owner: Browser, tmp_path: Path) -> None:
    _, working = await connection_of(owner, "meta", "active")
    _, dead = await connection_of(owner, "snapchat", "revoked")
    jobs = tmp_path / "jobs.sqlite"
    command = (str(EXAMPLES / "blocking_worker" / "worker.py"), str(jobs))

    def ask(query: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(jobs, timeout=30)) as db, db:
            return db.execute(query, values).fetchall()

    def states() -> list[str]:
        try:
            return [row[0] for row in ask("SELECT state FROM job ORDER BY job_id")]
        except sqlite3.OperationalError:  # not made yet
            return []

    def enough(target: int) -> bool:
        return states().count("done") >= target

    def has_table() -> bool:
        return jobs.exists() and bool(ask("SELECT 1 FROM sqlite_master WHERE name = 'result'"))

    with running(settings, *command):
        await eventually(has_table, 60, what="it has begun")
    with closing(sqlite3.connect(jobs)) as db, db:
        db.executemany("INSERT INTO job (account_id) VALUES (?)", [(working,)] * JOBS + [(dead,)])
    for target in range(JOBS // KILLS, JOBS, JOBS // KILLS):
        with running(settings, *command):
            await eventually(partial(enough, target), 60, what=f"{target} are done")
    with running(settings, *command):
        await eventually(lambda: states() == ["done"] * JOBS + ["stopped"], 60, what="all are done")
    assert [row[0] for row in ask("SELECT job_id FROM result ORDER BY job_id")] == list(range(1, JOBS + 1))
    assert "connection_id=" in ask("SELECT why FROM job WHERE state = 'stopped'")[0][0]
