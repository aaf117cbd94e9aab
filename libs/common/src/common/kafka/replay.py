"""Dead letters: list them, show one, send it again to the topic it came from."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.contracts import TOPICS
from common.kafka.connection import KafkaSettings
from common.kafka.producer import EventProducer, Outgoing
from common.runtime.errors import PermanentError, RetryableError

READ_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record on a dead-letter topic. `offset` identifies it there (dead-letter topics have one partition)."""

    topic: str
    offset: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    parked_at: datetime

    def header(self, name: str) -> str:
        """Return a header as text; empty when it is missing."""
        return next((raw.decode(errors="replace") for key, raw in self.headers if key == name), "")

    @property
    def reason(self) -> str:
        return self.header("dlq_reason")


async def dead_letters(settings: KafkaSettings, topic: str) -> AsyncIterator[DeadLetter]:
    """Yield everything that is now on the dead-letter topic of `topic`, oldest first.

    Raises:
        PermanentError: `topic` is not in the contract.
        RetryableError: Kafka does not answer.

    """
    declared = TOPICS.get(topic)
    if declared is None:
        raise PermanentError(f"{topic} is not a topic; one of {', '.join(TOPICS)}")
    partition = TopicPartition(settings.wire_name(declared.dlq), 0)
    consumer = AIOKafkaConsumer(**settings.client_arguments(), enable_auto_commit=False)
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            await consumer.start()
        try:
            consumer.assign([partition])
            position = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            # Not seek_to_beginning() and position(): the fetcher's own first reset may still be under way.
            consumer.seek(partition, position)
            while position < end:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    record = await consumer.getone(partition)
                position = record.offset + 1
                yield DeadLetter(
                    topic=topic,
                    offset=record.offset,
                    key=record.key or b"",
                    value=record.value,
                    headers=tuple(record.headers),
                    parked_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
                )
        finally:
            await consumer.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        raise RetryableError("Kafka does not answer, or the topics do not exist yet (run `make topics`)") from error


async def send_again(producer: EventProducer, letter: DeadLetter) -> None:
    """Put a dead letter back on its topic, as it was. Its event id is the same, so nobody acts on it twice."""
    headers = tuple((name, raw) for name, raw in letter.headers if not name.startswith("dlq_"))
    await producer.send_all([Outgoing(topic=letter.topic, key=letter.key, value=letter.value, headers=headers)])
