"""The database goes away while platforms are asked, or the lease does: no answer that reached a process is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from common.postgres import open_pool
from common.testing import FaultProxy, eventually
from oauth_svc.core.flow import OnUnknown
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine

if TYPE_CHECKING:
    from structlog.typing import EventDict
    from tests.conftest import Person, Stage

PROVIDER = "rfc6749"
SLOW_MS = 400
#: The refresh token's life, nearly.
MONTH = timedelta(days=29)


@dataclass
class CutOff:
    """A replica whose database can be taken away."""

    stage: Stage
    engine: Engine
    wire: FaultProxy
    logs: list[EventDict]

    async def asked(self) -> None:
        """It has a call under way, and the platform has taken the refresh token."""
        await self.stage.make_due(PROVIDER)
        assert (await self.engine.sweep()).claimed == 1

        async def taken() -> bool:
            ledger = await self.stage.sim("GET", f"ledger?provider={PROVIDER}")
            return [entry["outcome"] for entry in ledger["entries"]][-1:] == ["rotated"]

        await eventually(taken, what="the platform has rotated")

    async def answered_without_a_database(self) -> None:
        """The answer is in, and the database is not."""
        await self.asked()
        await self.wire.refuse()
        await eventually(lambda: self.said("answer_waits"), what="the answer waits")

    async def kept(self) -> None:
        await eventually(lambda: self.said("answer_kept_late"), what="the answer is kept")

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.logs)


@asynccontextmanager
async def cut_off(stage: Stage, dsn: str) -> AsyncIterator[CutOff]:
    server = urlsplit(dsn)
    assert server.hostname is not None
    assert server.port is not None
    async with FaultProxy(server.hostname, server.port) as wire:
        pool = await open_pool(dsn.replace(f":{server.port}/", f":{wire.port}/"), application_name="cut-off")
        deps = replace(stage.deps, pool=pool)
        engine = Engine(deps, Breakers(deps))
        with capture_logs() as logs:
            yield CutOff(stage, engine, wire, logs)
        await wire.heal()
        await engine.drain(20)
        await pool.close()


async def slow(stage: Stage) -> Person:
    person = stage.person()
    await stage.connect(person, PROVIDER)
    await stage.events()
    await stage.sim("POST", "faults", {"provider": PROVIDER, "endpoint": "token", "kind": "slow", "delay_ms": SLOW_MS})
    return person


async def lapse(stage: Stage) -> None:
    await stage.pool.execute("UPDATE schedule SET leased_until = now() - interval '1 second'")


async def lives(stage: Stage, person: Person) -> None:
    """It is refreshed once more, with what came late; nothing was presented twice."""
    await stage.sim("DELETE", "faults")
    before = await stage.pool.fetchval("SELECT generation FROM credential")
    await stage.make_due(PROVIDER)
    await stage.refresh_due()
    assert await stage.pool.fetchval("SELECT generation FROM credential") == before + 1
    connection = await stage.connection(person)
    assert (connection["status"], connection["last_failure"]) == ("active", None)
    assert datetime.fromisoformat(connection["expires_at"]) - stage.clock.now() > MONTH, "not the access token's end"
    assert (await stage.sim("GET", f"ledger?provider={PROVIDER}"))["presented_twice"] == {}


async def nobody_else(_: Stage) -> None:
    """The lease was still held, or had lapsed and nobody had come by."""


async def somebody_held_it(stage: Stage) -> None:
    """Another replica found the call open, was told that the token is spent, and gave it up."""
    await lapse(stage)
    await stage.make_due(PROVIDER)
    assert await stage.refresh_due() == 1
    assert await stage.pool.fetchval("SELECT last_failure FROM connection") == "unknown_outcome:spent"
    assert await stage.pool.fetchval("SELECT refresh_at FROM schedule") is None


@pytest.mark.parametrize("meanwhile", [nobody_else, somebody_held_it])
async def test_an_answer_outlives_the_databases_absence(
    stage: Stage, one_database: str, meanwhile: Callable[[Stage], Awaitable[None]]
) -> None:
    person = await slow(stage)
    async with cut_off(stage, one_database) as replica:
        await replica.answered_without_a_database()
        await meanwhile(stage)
        await replica.wire.heal()
        await replica.kept()
        await lapse(stage)
        asked = len((await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"])
        assert await stage.refresh_due() == 1, "it is due by itself"
        assert len((await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"]) == asked, "nobody asks again"
        assert [topic for topic, _ in await stage.events()][-2:] == ["token.refreshed", "token.state"]
        await lives(stage, person)


async def test_an_answer_that_comes_after_its_lease_is_not_thrown_away(stage: Stage, one_database: str) -> None:
    """The process stood still (a suspended machine) while another one gave the connection up."""
    person = await slow(stage)
    async with cut_off(stage, one_database) as replica:
        await replica.asked()
        await somebody_held_it(stage)
        await replica.kept()
        assert await stage.refresh_due() == 1, "it is due by itself"
        await lives(stage, person)


async def test_an_answer_that_arrives_while_another_replica_gives_it_up_is_not_thrown_away(
    stage: Stage, one_database: str
) -> None:
    person = await slow(stage)
    async with cut_off(stage, one_database) as replica:
        await replica.answered_without_a_database()
        await lapse(stage)
        await stage.make_due(PROVIDER)
        profile = stage.deps.providers[PROVIDER].profile
        (claim,) = await stage.engine.claims.due(profile, 1, stage.clock.now())  # it saw the call open
        await replica.wire.heal()
        await replica.kept()
        stage.engine.start(claim)
        await stage.engine.drain(10)
        assert (await stage.connection(person))["last_failure"] == "unknown_outcome:spent"
        assert await stage.refresh_due() == 1, "due at once, for what was found"
        await lives(stage, person)


async def test_a_refusal_is_not_forgotten_either(stage: Stage, one_database: str) -> None:
    """Where nobody can ask about a refresh token, a call without an outcome would hold the grant for good."""
    person = stage.person()
    await stage.connect(person, PROVIDER)
    provider: Any = stage.deps.providers[PROVIDER]
    provider._profile = replace(provider.profile, on_unknown=OnUnknown.WAIT)
    await stage.events()
    late = {"provider": PROVIDER, "endpoint": "token", "kind": "slow", "when": "before", "delay_ms": SLOW_MS}
    await stage.sim("POST", "faults", late)
    async with cut_off(stage, one_database) as replica:
        await stage.make_due(PROVIDER)
        assert (await replica.engine.sweep()).claimed == 1

        async def called() -> bool:
            return bool(await stage.pool.fetchval("SELECT EXISTS (SELECT FROM refresh_attempt WHERE state = 'sent')"))

        await eventually(called, what="the call is under way")
        await replica.wire.refuse()
        await stage.sim("POST", f"grants/{PROVIDER}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
        await eventually(lambda: replica.said("refresh_unsettled"), what="the refusal waits")
        await replica.wire.heal()

        async def revoked() -> bool:
            return bool((await stage.connection(person))["status"] == "revoked")

        await eventually(revoked)
    assert [topic for topic, _ in await stage.events()] == ["token.revoked", "token.state"]


async def test_a_new_consent_makes_a_late_answer_meaningless(stage: Stage, one_database: str) -> None:
    person = await slow(stage)
    connection = await stage.connection(person)
    async with cut_off(stage, one_database) as replica:
        await replica.answered_without_a_database()
        await stage.sim("DELETE", "faults")
        reply = await stage.connect(person, PROVIDER, connection_id=connection["connection_id"])
        assert "how=reauthorize" in reply.location
        after = await stage.pool.fetchrow("SELECT generation, sealed FROM credential")
        await replica.wire.heal()
        await replica.kept()
        assert await stage.pool.fetchrow("SELECT generation, sealed FROM credential") == after
        assert await stage.pool.fetchval("SELECT count(*) FROM refresh_attempt WHERE state = 'answered'") == 0
        await lives(stage, person)


#: 25006: read-only; 53100: disk full; 53200: out of memory; 57014: statement cancelled; 58030: input/output error;
#: 54000: a program limit; XX000: an internal error.
SQLSTATES = ["25006", "53100", "53200", "57014", "58030", "54000", "XX000"]


@asynccontextmanager
async def refusing(stage: Stage, table: str, sqlstate: str) -> AsyncIterator[None]:
    """The server answers every change of a table's rows with this error, as a full disk would."""
    await stage.pool.execute(
        f"""CREATE OR REPLACE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"""
    )
    await stage.pool.execute(f"CREATE TRIGGER refuses BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuses()")
    try:
        yield
    finally:
        await stage.pool.execute("DROP FUNCTION refuses CASCADE")


@pytest.mark.parametrize("sqlstate", SQLSTATES)
async def test_an_answer_is_kept_whatever_the_database_says_meanwhile(stage: Stage, sqlstate: str) -> None:
    person = stage.person()
    await stage.connect(person, PROVIDER)
    await stage.events()
    with capture_logs() as lines:

        def said(event: str) -> bool:
            return any(line["event"] == event for line in lines)

        async with refusing(stage, "refresh_attempt", sqlstate):
            await stage.make_due(PROVIDER)
            assert (await stage.engine.sweep()).claimed == 1
            await eventually(lambda: said("answer_waits"), what="the answer waits")
        await eventually(lambda: said("answer_kept_late"), what="the answer is kept")
    await lapse(stage)
    asked = len((await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"])
    await stage.refresh_due()
    assert len((await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"]) == asked, "nobody asks again"
    await lives(stage, person)


@pytest.mark.parametrize("sqlstate", ["53100", "XX000"])
async def test_a_refusal_is_written_whatever_the_database_says_meanwhile(stage: Stage, sqlstate: str) -> None:
    person = stage.person()
    await stage.connect(person, PROVIDER)
    await stage.sim("POST", f"grants/{PROVIDER}/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    with capture_logs():
        await stage.make_due(PROVIDER)
        async with refusing(stage, "connection", sqlstate):
            assert (await stage.engine.sweep()).claimed == 1

            async def refused() -> bool:
                entries = (await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"]
                return bool(entries[-1]["outcome"].startswith("refused"))

            await eventually(refused, what="the platform has refused")

        async def ended() -> bool:
            return bool((await stage.connection(person))["status"] == "revoked")

        await eventually(ended, what="the refusal is written")
    assert (await stage.sim("GET", f"ledger?provider={PROVIDER}"))["presented_twice"] == {}
