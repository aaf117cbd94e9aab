"""Read a whole topic, all partitions, without a group: for what every process must know (revocations, live updates)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.pacing import LONG_POLL_MS, paced
from wevion_tokens.kafka.stopping import stop_client
from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.errors import RetryableError
from wevion_tokens.runtime.retry import Backoff
from wevion_tokens.runtime.tasks import describe
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)

START_TIMEOUT_S = 15.0
STALE_AFTER_S = 15.0
"""A reader whose broker has not answered for this long no longer claims to be up to date."""
METADATA_MAX_AGE_S = 5.0
"""How long an added partition may go unnoticed. Producers look every five minutes, and when they start."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `topic` is the contract's name."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: datetime


class TopicReader:
    """Follow topics for ever, from the beginning or from now on.

    `async for record in reader` never ends by itself; after broker trouble it reconnects and goes on from where it
    was, so a record can come twice but none is missed. `caught_up` is set once everything that was there at the start
    has been given out, and cleared while the broker is away for long, and while partitions that were added to a topic
    are read: always from their beginning, since all of their records are new.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *topics: str,
        start: Literal["earliest", "latest"] = "earliest",
        max_poll_records: int = 2000,
    ) -> None:
        if not topics:
            raise ValueError("name at least one topic")
        self.caught_up = asyncio.Event()
        self._settings = settings
        self._topics = topics
        self._start = start
        self._max_poll_records = max_poll_records
        self._positions: dict[TopicPartition, int] = {}

    def __aiter__(self) -> AsyncIterator[Record]:
        return self._follow()

    async def present(self) -> AsyncIterator[Record]:
        """Yield what the topics hold now; ends when that has been given out."""
        ended = asyncio.create_task(self.caught_up.wait())
        try:
            async with aclosing(self._follow()) as records:
                while True:
                    following = asyncio.ensure_future(anext(records))
                    await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
                        following.cancel()
                        await asyncio.wait({following})
                        return
                    yield following.result()
        finally:
            ended.cancel()

    async def _follow(self) -> AsyncGenerator[Record, None]:
        waits, attempt = Backoff(base_s=0.2, cap_s=5), 0
        while True:
            try:
                async with self._consumer() as consumer:
                    attempt = 0
                    try:
                        async for record in self._read(consumer):
                            yield record
                    finally:
                        # before the old consumer is stopped, which takes its time
                        self.caught_up.clear()
            except (KafkaError, TimeoutError, OSError, RetryableError) as error:
                attempt += 1
                _log.warning("reader_lost_broker", topics=self._topics, error=describe(error), attempt=attempt)
                await asyncio.sleep(waits.delay(attempt, self._topics[0]))

    async def _read(self, consumer: AIOKafkaConsumer) -> AsyncIterator[Record]:
        goal = dict(await consumer.end_offsets(consumer.assignment()))
        self._note_progress(consumer, goal)
        last_answer = monotonic()
        while True:
            if added := self._added(consumer):
                self.caught_up.clear()
                _log.info("partitions_added", partitions=[f"{tp.topic}/{tp.partition}" for tp in added])
                await self._assign(consumer, [*consumer.assignment(), *added])
                goal |= await consumer.end_offsets(added)
            batches = await consumer.getmany(timeout_ms=LONG_POLL_MS, max_records=self._max_poll_records)
            for tp, records in batches.items():
                for record in records:
                    yield Record(
                        topic=self._settings.contract_name(record.topic),
                        partition=record.partition,
                        offset=record.offset,
                        key=(record.key or b"").decode(errors="replace"),
                        value=record.value,
                        headers=tuple(record.headers),
                        timestamp=datetime.fromtimestamp(record.timestamp / 1000, UTC),
                    )
                    self._positions[tp] = record.offset + 1
            self._check_partitions(consumer)
            if batches:
                last_answer = monotonic()
            elif monotonic() - last_answer > STALE_AFTER_S / 2:
                # getmany() is silent both when there is nothing and when the broker is gone: ask.
                async with asyncio.timeout(STALE_AFTER_S / 2):
                    await consumer.end_offsets(list(goal or consumer.assignment()))
                last_answer = monotonic()
            if goal:
                self._note_progress(consumer, goal)

    def _check_partitions(self, consumer: AIOKafkaConsumer) -> None:
        """Raise RetryableError when partitions were added: the next consumer reads them too, from their beginning."""
        known: set[TopicPartition] = consumer.assignment()
        for topic in self._topics:
            name = self._settings.wire_name(topic)
            if len(consumer.partitions_for_topic(name) or ()) > sum(tp.topic == name for tp in known):
                raise RetryableError(f"{name} has more partitions than before")

    def _note_progress(self, consumer: AIOKafkaConsumer, goal: dict[TopicPartition, int]) -> None:
        for tp in list(goal):
            position = self._positions.get(tp, 0)
            if position >= goal[tp] or consumer.last_stable_offset(tp) == goal[tp] == position:
                del goal[tp]
        if not goal:
            self.caught_up.set()

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=LONG_POLL_MS,
            metadata_max_age_ms=int(METADATA_MAX_AGE_S * 1000),
        )
        paced(consumer)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await consumer.start()
                await self._assign(consumer, await self._partitions(consumer))
            yield consumer
        finally:
            await stop_client(consumer, START_TIMEOUT_S)

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        found = []
        for topic in self._topics:
            name = self._settings.wire_name(topic)
            await consumer._client.add_topic(name)  # noqa: SLF001  assign() alone does not load a topic's metadata
            partitions = consumer.partitions_for_topic(name)
            if not partitions:
                raise RetryableError(f"topic {name} does not exist (yet); run `common topics`")
            found += [TopicPartition(name, partition) for partition in sorted(partitions)]
        return found

    def _added(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """Return the partitions that the cluster has and this consumer does not read."""
        names = [self._settings.wire_name(topic) for topic in self._topics]
        existing = {
            TopicPartition(name, number) for name in names for number in consumer.partitions_for_topic(name) or ()
        }
        return sorted(existing - consumer.assignment())

    async def _assign(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        """Read these partitions: known ones from where they were, new ones from the start that the caller chose.

        Only the partitions of the first assignment can begin at their end. Whatever lies in one that is found later
        was written after the reader began.
        """
        first = not self._positions
        consumer.assign(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions) if self._start == "latest" and first else beginnings
        for tp in partitions:
            known = self._positions.get(tp)
            start = ends[tp] if known is None else max(known, beginnings[tp])
            consumer.seek(tp, start)
            self._positions[tp] = start
