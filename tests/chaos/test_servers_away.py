"""R2: PostgreSQL restarted, Kafka stopped, both.

Every accepted request's effect is there afterwards, the outbox drains in order per token, and services become ready
again by themselves: none of them is restarted. Dozens of refreshes are under way each time a server goes; no answer
that reached a living process is lost.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from common.runtime.errors import RetryableError
from common.testing import eventually
from devstack.chaos import Chaos, Databases, Ledger, all_ready, imported, make_due, promises_kept
from devstack.platforms import GENERIC
from devstack.stack import Stack
from devstack.traffic import EFFECT_WITHIN_S, Traffic

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: How long Kafka is away: in `make test`, and when there is time (target R2).
KAFKA_AWAY_S, KAFKA_AWAY_LONG_S = 8.0, 60.0
#: Until after the platforms' answers to what was under way.
POSTGRES_AWAY_S = 2.0
#: Traffic before, between and after.
CALM_S = 2.0
GRANTS = 60
#: So long a platform takes, so that many calls are under way when PostgreSQL goes, and are answered while it is away.
SLOW_MS = 1500


async def test_what_was_accepted_is_there_afterwards(stack: Stack, chaos: Chaos) -> None:
    before = stack.supervisor.pids()
    grants = await imported(stack, GRANTS)
    faults = Faults(stack, grants, long=chaos.minutes > 0)
    slow = {"provider": "rfc6749", "endpoint": "token", "kind": "slow", "delay_ms": SLOW_MS}
    await stack.platforms.order("POST", "/_sim/faults", slow)
    async with Traffic.flowing(stack.told(), chaos.chance) as traffic:
        end = time.monotonic() + chaos.seconds(0)
        while True:
            for fault in chaos.chance.sample(faults.chosen, len(faults.chosen)):
                await asyncio.sleep(CALM_S)
                was = traffic.count("accepted")
                await fault()
                during = traffic.count("accepted") - was
                await all_ready(stack)
                chaos.say(f"{fault.__name__.replace('_', ' ')}: {during} accepted meanwhile, all ready again")
            if time.monotonic() > end:
                break
        await asyncio.sleep(CALM_S)
        await traffic.stop()
        await stack.platforms.order("DELETE", "/_sim/faults")
        chaos.say(f"accepted {traffic.accepted()}; {traffic.count('failed')} failed, slowest {traffic.slowest_s}")
        assert min(traffic.accepted().values()) > 0
        record = await promises_kept(stack, traffic)
        await eventually(lambda: all_live(stack, grants), EFFECT_WITHIN_S, what="no grant was lost")
    chaos.say(f"{len(record.first)} events on Kafka, {len(record.events) - len(record.first)} delivered again")
    after = stack.supervisor.pids()
    services = [name for name in before if name not in {"postgres", "kafka"}]
    assert {name: after[name] for name in services} == {name: before[name] for name in services}


async def answering(stack: Stack) -> None:
    """Return when the database server takes connections again: after a crash it recovers first."""

    async def asked() -> bool:
        try:
            async with Databases.opened(stack):
                return True
        except RetryableError:
            return False

    await eventually(asked, EFFECT_WITHIN_S, what="PostgreSQL answers")


async def under_way(stack: Stack, grants: list[str]) -> None:
    """Return when most of the grants are being refreshed."""
    async with Databases.opened(stack) as databases:
        database = databases["oauth-svc"]
        rows = await database.fetch("SELECT connection_id FROM connection WHERE subject = ANY($1::text[])", grants)
        ids = [row["connection_id"] for row in rows]

        async def sent() -> bool:
            await make_due(databases, ids)
            calls = await database.fetchval(
                "SELECT count(*) FROM refresh_attempt WHERE state = 'sent' AND connection_id = ANY($1::uuid[])", ids
            )
            return bool(calls > GRANTS / 2)

        await eventually(sent, EFFECT_WITHIN_S, what="refreshes are under way")


async def all_live(stack: Stack, grants: list[str]) -> bool:
    async with Databases.opened(stack) as databases:
        rows = await databases["oauth-svc"].fetch(
            """SELECT status, last_failure, count(*) AS n FROM connection WHERE subject = ANY($1::text[])
               GROUP BY 1, 2""",
            grants,
        )
    assert [tuple(row) for row in rows] == [("active", None, len(grants))]
    assert (await Ledger.read(stack, GENERIC)).presented_twice == {}
    return True


class Faults:
    """What is done to the servers. Each returns once the server is there again."""

    def __init__(self, stack: Stack, grants: list[str], *, long: bool) -> None:
        self._stack = stack
        self._grants = grants
        self._kafka_away_s = KAFKA_AWAY_LONG_S if long else KAFKA_AWAY_S
        self.chosen: list[Callable[[], Awaitable[None]]] = [
            self.postgres_restarted,
            self.kafka_stopped,
            self.both_away,
        ]
        if long:  # the crash of PostgreSQL alone; the short form has it while Kafka is away
            self.chosen.append(self.postgres_killed)

    async def postgres_killed(self) -> None:
        await under_way(self._stack, self._grants)
        [was] = self._stack.supervisor.pids()["postgres"]
        self._stack.supervisor.kill("postgres")
        await self._back("postgres", was)

    async def postgres_restarted(self) -> None:
        await under_way(self._stack, self._grants)
        await self._stack.supervisor.hold("postgres")
        await asyncio.sleep(POSTGRES_AWAY_S)
        self._stack.supervisor.release("postgres")
        await answering(self._stack)

    async def kafka_stopped(self) -> None:
        await self._stack.supervisor.hold("kafka")
        await asyncio.sleep(self._kafka_away_s)
        self._stack.supervisor.release("kafka")

    async def both_away(self) -> None:
        await self._stack.supervisor.hold("kafka")
        await self.postgres_killed()
        await asyncio.sleep(self._kafka_away_s / 2)
        self._stack.supervisor.release("kafka")

    async def _back(self, name: str, was: int) -> None:
        while self._stack.supervisor.pids()[name] in ([], [was]):  # noqa: ASYNC110  another process's state
            await asyncio.sleep(0.1)
        if name == "postgres":
            await answering(self._stack)
