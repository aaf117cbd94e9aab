"""Saying things as a service would (outbox, relay, producer), and hearing when they are on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.stack import Stack
from common.contracts import EventBody
from common.kafka import EventProducer, Record, TopicReader
from common.outbox import Relay, enqueue
from common.postgres import Pool, open_pool, transaction
from common.runtime import tasks
from common.runtime.clock import monotonic

SOURCE = "oauth-svc"
START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """The outbox of a service that is not there."""

    pool: Pool
    relay: Relay

    async def say(self, *bodies: EventBody) -> float:
        """Commit events and wake the relay; returns when they were committed, on the monotonic clock."""
        async with transaction(self.pool) as db:
            await enqueue(db, bodies, source=SOURCE, now=datetime.now(UTC))
        committed = monotonic()
        self.relay.poke()
        return committed


@asynccontextmanager
async def speaking(stack: Stack, prefix: str) -> AsyncIterator[Speaker]:
    """A speaker on these topics."""
    pool = await open_pool(await stack.database(), application_name="bench", command_timeout_s=60)
    producer = EventProducer(stack.kafka_settings(prefix))
    await producer.start()
    relay = Relay(pool, producer)
    running = asyncio.create_task(relay.run())
    try:
        yield Speaker(pool, relay)
    finally:
        await tasks.cancel(running)
        await producer.stop()
        await pool.close()


class Tally:
    """Counts what arrives, by key, and wakes whoever waits for so many different keys."""

    def __init__(self, take: Callable[[Record], bool] = lambda _: True) -> None:
        self.first: dict[str, float] = {}
        self._take = take
        self._changed = asyncio.Condition()

    async def add(self, record: Record) -> None:
        """Note a record; the first one of a key counts."""
        arrived = monotonic()
        if record.value is not None and self._take(record):
            self.first.setdefault(record.key, arrived)
            async with self._changed:
                self._changed.notify_all()

    def forget(self) -> None:
        """Begin anew."""
        self.first.clear()

    async def reaches(self, count: int, *, within_s: float) -> float:
        """Wait for `count` different keys; returns when the last of them came. Raises TimeoutError."""
        try:
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: len(self.first) >= count)
        except TimeoutError:
            raise TimeoutError(f"{len(self.first)} of {count} came within {within_s:.0f} s") from None
        return max(self.first.values())


@asynccontextmanager
async def hearing(stack: Stack, prefix: str, topics: Sequence[str], tally: Tally) -> AsyncIterator[None]:
    """Give what comes on `topics` from now on to `tally`."""
    reader = TopicReader(stack.kafka_settings(prefix), *topics, start="latest")

    async def follow() -> None:
        async for record in reader:
            await tally.add(record)

    following = asyncio.create_task(follow())
    try:
        await asyncio.wait_for(reader.caught_up.wait(), START_TIMEOUT_S)
        yield
    finally:
        await tasks.cancel(following)
