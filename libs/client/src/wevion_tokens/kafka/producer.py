"""The idempotent producer, supervised.

aiokafka's idempotent producer never times out by itself, and one refused batch poisons its partition for good
(aiokafka#1101, aiokafka#1017). So every wait has a limit, and after any error the producer is thrown away and a new
one is built. A time-out is an unknown outcome: the record may be sent all the same, so readers must drop repeats.

Records are handed over in batches that are built here, by partition: aiokafka then keeps one future for a batch
instead of one for a record, and does not linger for more. That is most of what a record costs.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.pacing import paced
from wevion_tokens.kafka.stopping import stop_client
from wevion_tokens.runtime.errors import PermanentError, RetryableError

MAX_RECORD_BYTES = 1 << 20
SEND_TIMEOUT_S = 10.0
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record: the contract's topic name, key, value (None is a tombstone) and headers."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class EventProducer:
    """Send batches of records; acknowledged by all in-sync replicas before `send_all` returns."""

    def __init__(self, settings: KafkaSettings, *, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._settings = settings
        self._send_timeout_s = send_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Return whether the last thing heard from the broker was good."""
        return self._producer is not None

    async def start(self, *topics: str) -> None:
        """Connect, and learn who leads these topics: the first record of each would wait for it, 100 ms and more.

        `send_all` does both too; call this to have it done before it matters.

        Raises:
            RetryableError: no broker answers, or a topic does not exist (yet).

        """
        producer = await self._connected_producer()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                for topic in topics:
                    await producer.partitions_for(self._settings.wire_name(topic))
        except (KafkaError, TimeoutError, OSError) as error:
            await self._discard(producer)
            raise RetryableError("Kafka does not know the topics") from error
        except asyncio.CancelledError:
            await asyncio.shield(self._discard(producer))
            raise

    async def stop(self) -> None:
        """Close, within a limit; records that are under way may or may not be sent."""
        async with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            await stop_client(producer, STOP_TIMEOUT_S)

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Send the records in order and wait until the broker has them all.

        Raises:
            PermanentError: a record is too large; nothing was sent.
            RetryableError: not all were acknowledged in time. Some may be on the topic; send all again.

        """
        for record in records:
            if len(record.value or b"") + len(record.key) > MAX_RECORD_BYTES:
                raise PermanentError(f"a record for {record.topic} is over {MAX_RECORD_BYTES} bytes")
        producer = await self._connected_producer()
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._send(producer, records)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._discard(producer)
            raise RetryableError(f"Kafka did not take {len(records)} records") from error
        except asyncio.CancelledError:
            await asyncio.shield(self._discard(producer))
            raise

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> None:
        partitions = {
            topic: tuple(sorted(await producer.partitions_for(self._settings.wire_name(topic))))
            for topic in {record.topic for record in records}
        }
        batches: dict[tuple[str, int], list[BatchBuilder]] = {}
        for record in records:
            place = (record.topic, _partition_of(record.key, partitions[record.topic]))
            built = batches.get(place)
            if built is None:
                built = batches[place] = [producer.create_batch()]
            if not _append(built[-1], record):
                built.append(producer.create_batch())
                _append(built[-1], record)
        await asyncio.gather(
            *(
                _send_in_order(producer, self._settings.wire_name(topic), partition, built)
                for (topic, partition), built in batches.items()
            )
        )

    async def _connected_producer(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                self._producer = await self._build()
            return self._producer

    async def _build(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.client_arguments(),
            enable_idempotence=True,
            compression_type="zstd",
            max_batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES + 64 * 1024,
            request_timeout_ms=10_000,
        )
        paced(producer)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await producer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await stop_client(producer, STOP_TIMEOUT_S)
            raise RetryableError("Kafka does not answer") from error
        except asyncio.CancelledError:
            await asyncio.shield(stop_client(producer, STOP_TIMEOUT_S))
            raise
        return producer

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is producer:
                self._producer = None
        await stop_client(producer, STOP_TIMEOUT_S)


@lru_cache(maxsize=4096)
def _partition_of(key: bytes, partitions: tuple[int, ...]) -> int:
    """Return where every Kafka client puts this key. Remembered: one change is often several events about one key."""
    found: int = DefaultPartitioner()(key, partitions, partitions)
    return found


def _append(batch: BatchBuilder, record: Outgoing) -> bool:
    """False when the batch is full. An empty one takes any record."""
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is not None


async def _send_in_order(
    producer: AIOKafkaProducer, topic: str, partition: int, batches: Sequence[BatchBuilder]
) -> None:
    acknowledged = []
    for batch in batches:
        batch.close()
        acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*acknowledged)
