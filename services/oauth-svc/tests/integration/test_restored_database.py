"""The database is restored to an earlier state while the log and the platforms have gone on.

A real dump by `pg_dump`, a real restore by `pg_restore`, real Kafka, and three replicas that keep running.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from common.contracts import DetectedBy, RevocationCause
from common.kafka import EventProducer
from common.outbox import Relay
from common.postgres import connection, open_pool
from common.runtime.errors import RetryableError
from common.testing.processes import Postgres, binaries
from oauth_svc import metrics, store
from oauth_svc.core.connection import RESTORED
from oauth_svc.operations import expiry, gauges, recovery, witness
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.fence import Fence
from oauth_svc.operations.serving import probe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.conftest import Stage

    from common.testing.stack import KafkaForTest
    from oauth_svc.operations.deps import Deps

REUSABLE, SINGLE_USE, ASKABLE = "google-ads", "snapchat", "rfc6749"
REPLICAS = 3


@dataclass
class Fleet:
    """The stage's database with its log, and replicas that claim from it."""

    stage: Stage
    kafka: KafkaForTest
    dsn: str
    file: Path
    replicas: list[tuple[Deps, Engine]]
    relay: Relay
    producer: EventProducer

    async def tell(self) -> None:
        """Publish what is in the outbox."""
        while (await self.relay.run_once()).sent:
            pass

    async def refresh(self) -> None:
        """Every replica sweeps at once, until nothing is due."""
        for _ in range(3):
            await asyncio.gather(*(engine.sweep() for _, engine in self.replicas))
            await asyncio.gather(*(engine.drain(20) for _, engine in self.replicas))

    async def compare(self) -> None:
        """Every replica compares at once."""
        await asyncio.gather(*(witness.sweep(deps, deps.fence, self.kafka.settings) for deps, _ in self.replicas))

    async def go_on(self) -> None:
        """Each grant is refreshed, and it is told."""
        for provider in (REUSABLE, SINGLE_USE, ASKABLE):
            await self.stage.make_due(provider)
        await self.refresh()
        await self.tell()

    async def dump(self) -> None:
        await asyncio.to_thread(self.run, "pg_dump", "-Fc", "-f", str(self.file), self.dsn)

    async def restore(self) -> None:
        """Put the dump back; every connection of the replicas was to a server that is gone."""
        await asyncio.to_thread(self.run, "pg_restore", "--clean", "--if-exists", "-d", self.dsn, str(self.file))
        await self.lose_connections()
        await self.stage.pool.expire_connections()

    async def lose_connections(self) -> None:
        """Every connection of the replicas was to a server that is gone."""
        for deps, _ in self.replicas:
            await deps.pool.expire_connections()

    async def refresh_all(self) -> None:
        """Make every grant of the replicas' own database due, refresh, and tell."""
        await self.replicas[0][0].pool.execute("UPDATE schedule SET refresh_at = now() - interval '1 second'")
        await self.refresh()
        await self.tell()

    async def report(self) -> recovery.RecoveryReport:
        """What an operator sees."""
        return await recovery.status(self.stage.deps, self.kafka.settings)

    @staticmethod
    def run(program: str, *arguments: str) -> None:
        subprocess.run([binaries() / program, *arguments], check=True, capture_output=True, env=dict(os.environ))

    async def presented_twice(self) -> dict[str, Any]:
        twice: dict[str, Any] = {}
        for provider in (REUSABLE, SINGLE_USE, ASKABLE):
            twice |= (await self.stage.sim("GET", f"ledger?provider={provider}"))["presented_twice"]
        return twice

    async def rows(self) -> dict[str, dict[str, Any]]:
        found = await self.stage.pool.fetch("SELECT * FROM connection")
        return {row["provider"]: dict(row) for row in found}


@pytest.fixture
async def fleet(stage: Stage, kafka: KafkaForTest, one_database: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        producer = EventProducer(kafka.settings)
        stack.push_async_callback(producer.stop)
        replicas = []
        for _ in range(REPLICAS):
            pool = await open_pool(one_database, application_name="replica", max_size=4)
            stack.push_async_callback(pool.close)
            deps = replace(stage.deps, pool=pool, fence=Fence(up=True))
            replicas.append((deps, Engine(deps, Breakers(deps))))
        relay = Relay(stage.pool, producer)
        await stage.sim("PUT", "modes/snapchat", {"rotates": True})
        yield Fleet(stage, kafka, one_database, tmp_path / "dump", replicas, relay, producer)


async def test_what_was_rotated_since_the_backup_is_never_presented_again(fleet: Fleet) -> None:
    stage = fleet.stage
    person = stage.person(role="owner")
    for provider in (REUSABLE, SINGLE_USE, ASKABLE):
        assert (await stage.connect(person, provider)).status == 302
    await fleet.compare()
    await fleet.go_on()
    await fleet.dump()
    await fleet.go_on()
    published = {provider: row["version"] for provider, row in (await fleet.rows()).items()}
    await fleet.restore()
    for provider in (REUSABLE, SINGLE_USE, ASKABLE):
        await stage.make_due(provider)
    await fleet.refresh()  # before anybody has compared
    account = (await stage.connections(person))[0]["accounts"][0]["account_id"]
    assert (await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())).status == 200
    assert "1       behind the log; the credential can be presented again" in recovery.as_text(await fleet.report())
    await fleet.compare()
    await fleet.refresh()
    assert await fleet.presented_twice() == {}
    report = json.loads(recovery.as_json(await fleet.report()))
    assert [one["provider"] for one in report["held"]] == [ASKABLE, SINGLE_USE]
    rows = await fleet.rows()
    assert (rows[REUSABLE]["status"], rows[REUSABLE]["last_failure"]) == ("active", None)
    for provider in (SINGLE_USE, ASKABLE):
        assert rows[provider]["last_failure"] == RESTORED
        assert rows[provider]["expires_at"] == rows[provider]["access_expires_at"], "what is left of it"
    assert all(rows[provider]["version"] > version for provider, version in published.items()), "consumers take it"

    stage.clock.advance(timedelta(days=1))
    await stage.pass_time()
    rows = await fleet.rows()
    assert (rows[SINGLE_USE]["status"], rows[SINGLE_USE]["cause"]) == ("revoked", RevocationCause.CREDENTIAL_LOST.value)
    assert await fleet.presented_twice() == {}


async def test_nothing_is_claimed_before_the_log_was_read(fleet: Fleet) -> None:
    person = fleet.stage.person(role="owner")
    for provider in (REUSABLE, SINGLE_USE):
        await fleet.stage.connect(person, provider)
    before = await fleet.rows()
    await fleet.go_on()
    rows = await fleet.rows()
    assert {name: row["version"] for name, row in rows.items()} == {
        name: row["version"] for name, row in before.items()
    }
    deps, engine = fleet.replicas[0]
    one = rows[SINGLE_USE]["connection_id"]
    assert not await engine.refresh_now(one)
    with pytest.raises(RetryableError):
        await probe.probe(deps, engine, one, DetectedBy.USER)
    await fleet.stage.pool.execute("UPDATE connection SET expires_at = now() + interval '1 day'")
    await expiry.sweep(deps)
    assert {row["version"] for row in (await fleet.rows()).values()} == {row["version"] for row in before.values()}
    await fleet.compare()
    await fleet.refresh()
    assert (await fleet.rows())[SINGLE_USE]["version"] > before[SINGLE_USE]["version"]


async def test_an_end_that_the_backup_does_not_know_is_taken_from_the_log(fleet: Fleet) -> None:
    stage, person = fleet.stage, fleet.stage.person(role="owner")
    await stage.connect(person, ASKABLE)
    await fleet.tell()
    await fleet.dump()
    await stage.sim("POST", f"grants/{ASKABLE}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await fleet.compare()
    await fleet.go_on()
    ended = (await fleet.rows())[ASKABLE]
    assert ended["status"] == "revoked"
    await fleet.restore()
    assert (await fleet.rows())[ASKABLE]["status"] != "revoked"
    await fleet.compare()
    restored = (await fleet.rows())[ASKABLE]
    assert [restored[name] for name in ("status", "cause", "since")] == [
        ended[name] for name in ("status", "cause", "since")
    ]
    topics = [topic for topic, _ in await stage.events()]
    assert "token.revoked" not in topics, "people have heard of it"
    assert "token.state" in topics, "an old state from the backup's outbox may have come after it"


async def test_a_consent_that_is_newer_than_the_backup_is_asked_for_once_more(fleet: Fleet) -> None:
    stage, person = fleet.stage, fleet.stage.person(role="owner")
    await stage.connect(person, ASKABLE)
    await stage.sim("POST", f"grants/{ASKABLE}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await fleet.compare()
    await fleet.go_on()
    await fleet.dump()
    only = await stage.connection(person)
    assert (await stage.connect(person, ASKABLE, connection_id=only["connection_id"])).status == 302
    assert (await stage.connection(person))["status"] == "active"
    await fleet.tell()
    await fleet.restore()
    await fleet.compare()
    row = (await fleet.rows())[ASKABLE]
    assert (row["status"], row["cause"]) == ("revoked", RevocationCause.CREDENTIAL_LOST.value)


async def test_an_operator_holds_and_releases(fleet: Fleet) -> None:
    stage, person = fleet.stage, fleet.stage.person(role="owner")
    await stage.connect(person, SINGLE_USE)
    await fleet.compare()
    deps, _ = fleet.replicas[0]
    one: UUID = (await fleet.rows())[SINGLE_USE]["connection_id"]
    assert await witness.hold(deps, [one]) == 1
    assert await witness.hold(deps, [one]) == 0
    before = await stage.sim("GET", f"ledger?provider={SINGLE_USE}")
    await fleet.go_on()
    assert await stage.sim("GET", f"ledger?provider={SINGLE_USE}") == before
    assert await witness.release(deps, [one]) == 1
    await fleet.refresh()
    row = (await fleet.rows())[SINGLE_USE]
    assert (row["status"], row["last_failure"]) == ("active", None)


async def test_a_database_that_is_level_with_the_log_is_left_alone(fleet: Fleet) -> None:
    person = fleet.stage.person(role="owner")
    await fleet.stage.connect(person, SINGLE_USE)
    await fleet.tell()
    before = await fleet.rows()
    found = await witness.repair(fleet.replicas[0][0], fleet.kafka.settings)
    assert not found.went_back
    assert await fleet.rows() == before


async def test_a_grant_that_is_younger_than_the_backup_is_named(fleet: Fleet) -> None:
    person = fleet.stage.person(role="owner")
    await fleet.stage.connect(person, REUSABLE)
    await fleet.tell()
    await fleet.dump()
    await fleet.stage.connect(person, SINGLE_USE)
    young = (await fleet.rows())[SINGLE_USE]["connection_id"]
    await fleet.tell()
    await fleet.restore()
    report = await fleet.report()
    assert report.comparison.absent == [young]
    assert str(young) in recovery.as_json(report)


@pytest.mark.parametrize(("chosen", "held"), [({"provider": REUSABLE}, 0), ({"provider": SINGLE_USE}, 1), ({}, 2)])
async def test_what_is_held_is_what_was_named(fleet: Fleet, chosen: dict[str, str], held: int) -> None:
    person = fleet.stage.person(role="owner")
    for provider in (SINGLE_USE, ASKABLE):
        await fleet.stage.connect(person, provider)
    deps = fleet.stage.deps
    assert await recovery.each(deps, witness.hold, chosen.get("provider"), None) == held
    await gauges.count(deps)
    shown = {name: metrics.HELD.labels(name)._value.get() for name in (REUSABLE, SINGLE_USE, ASKABLE)}
    assert sum(shown.values()) == held
    assert await recovery.each(deps, witness.release, None, None) == held


async def test_a_snapshot_of_the_volume_comes_back_below_running_replicas(fleet: Fleet, tmp_path: Path) -> None:
    """The files of a server, copied and put back: same cluster, same database, same tables, and an earlier state."""
    person = fleet.stage.person(role="owner")
    for provider in (SINGLE_USE, ASKABLE):
        await fleet.stage.connect(person, provider)
    await fleet.dump()
    folder, snapshot = tmp_path / "server", tmp_path / "snapshot"
    server = await asyncio.to_thread(Postgres.start, folder)

    async def restart(*commands: Sequence[str | Path]) -> Postgres:
        await asyncio.to_thread(server.stop)
        for command in commands:
            await asyncio.to_thread(subprocess.run, command, check=True)
        return await asyncio.to_thread(partial(Postgres.start, folder, port=server.port))

    try:
        await asyncio.to_thread(Fleet.run, "pg_restore", "-d", server.dsn(), str(fleet.file))
        async with AsyncExitStack() as stack:
            replicas = []
            for _ in range(REPLICAS):
                pool = await open_pool(server.dsn(), application_name="replica", max_size=4)
                stack.push_async_callback(pool.close)
                deps = replace(fleet.stage.deps, pool=pool, fence=Fence(up=True))
                replicas.append((deps, Engine(deps, Breakers(deps))))
            there = replace(fleet, replicas=replicas, relay=Relay(replicas[0][0].pool, fleet.producer))
            await there.compare()
            await there.refresh_all()
            server = await restart(["cp", "-a", folder / "data", snapshot])
            await there.lose_connections()
            await there.compare()
            await there.refresh_all()
            server = await restart(["rm", "-r", folder / "data"], ["cp", "-a", snapshot, folder / "data"])
            await there.lose_connections()
            await there.refresh()
            await there.compare()
            await there.refresh_all()
            held = await store.witness.held(await stack.enter_async_context(connection(replicas[0][0].pool)))
    finally:
        await asyncio.to_thread(server.stop)
    assert [provider for _, provider, _ in held] == [ASKABLE, SINGLE_USE]
    assert await fleet.presented_twice() == {}
