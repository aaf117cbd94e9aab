"""R2: PostgreSQL restarted, Kafka stopped, both.

Every accepted request's effect is there afterwards, the outbox drains in order per token, and services become ready
again by themselves: none of them is restarted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from devstack.chaos import Chaos, all_ready, promises_kept
from devstack.stack import Stack
from devstack.traffic import Traffic

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: How long Kafka is away: in `make test`, and when there is time (targets.md).
KAFKA_AWAY_S, KAFKA_AWAY_LONG_S = 8.0, 60.0
#: Traffic before, between and after.
CALM_S = 2.0


async def test_what_was_accepted_is_there_afterwards(stack: Stack, chaos: Chaos) -> None:
    faults = Faults(stack, long=chaos.minutes > 0)
    before = stack.supervisor.pids()
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
        chaos.say(f"accepted {traffic.accepted()}; {traffic.count('failed')} failed, slowest {traffic.slowest_s}")
        assert min(traffic.accepted().values()) > 0
        record = await promises_kept(stack, traffic)
    chaos.say(f"{len(record.first)} events on Kafka, {len(record.events) - len(record.first)} delivered again")
    after = stack.supervisor.pids()
    services = [name for name in before if name not in {"postgres", "kafka"}]
    assert {name: after[name] for name in services} == {name: before[name] for name in services}


class Faults:
    """What is done to the servers. Each returns once the server is there again."""

    def __init__(self, stack: Stack, *, long: bool) -> None:
        self._stack = stack
        self._kafka_away_s = KAFKA_AWAY_LONG_S if long else KAFKA_AWAY_S
        self.chosen: list[Callable[[], Awaitable[None]]] = [
            self.postgres_restarted,
            self.kafka_stopped,
            self.both_away,
        ]
        if long:  # the crash of PostgreSQL alone; the short form has it while Kafka is away
            self.chosen.append(self.postgres_killed)

    async def postgres_killed(self) -> None:
        [was] = self._stack.supervisor.pids()["postgres"]
        self._stack.supervisor.kill("postgres")
        await self._back("postgres", was)

    async def postgres_restarted(self) -> None:
        await self._stack.supervisor.hold("postgres")
        self._stack.supervisor.release("postgres")

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
