"""Dead letters: list them, show one, send it again to the topic it came from.

A letter that was sent again is marked by a record behind it on the same dead-letter topic, so that it is not listed
any more. On a compacted topic the last record of a key is what is kept, so only what is newest may be sent there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.contracts import DLQ_SUFFIX, TOPICS, InvalidEventError, decode
from common.runtime.errors import PermanentError, RetryableError
from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.dead_letter import VALUE_LEFT_OUT
from wevion_tokens.kafka.producer import EventProducer, Outgoing
from wevion_tokens.kafka.reader import TopicReader

READ_TIMEOUT_S = 30.0
SENT_MARK = "dlq_sent_again"
"""This header of a record on a dead-letter topic names the offset of a letter that was sent again."""


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

    @property
    def consumer(self) -> str:
        """Return the consumer group that could not handle it."""
        return self.header("dlq_consumer")

    def document(self) -> dict[str, str | int]:
        """Return the letter for programs, without its body."""
        return {
            "topic": self.topic,
            "offset": self.offset,
            "parked_at": self.parked_at.isoformat(),
            "consumer": self.consumer,
            "type": self.header("ce_type"),
            "reason": self.reason,
        }


class NotSentError(PermanentError):
    """Sending this letter again would do harm, or nothing; the text says why."""


async def dead_letters(settings: KafkaSettings, topic: str, *, sent: bool = False) -> list[DeadLetter]:
    """Return what is now on the dead-letter topic of `topic`, oldest first.

    Args:
        settings: how to reach the cluster.
        topic: the contract's name.
        sent: whether to include letters that were sent again.

    Raises:
        PermanentError: `topic` is not in the contract.
        RetryableError: Kafka does not answer.

    """
    found: dict[int, DeadLetter] = {}
    async for letter in _records(settings, topic):
        mark = letter.header(SENT_MARK)
        if not mark:
            found[letter.offset] = letter
        elif not sent:
            found.pop(int(mark), None)
    return list(found.values())


async def _records(settings: KafkaSettings, topic: str) -> AsyncIterator[DeadLetter]:
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


async def send_again(settings: KafkaSettings, producer: EventProducer, letter: DeadLetter) -> None:
    """Put a dead letter back on its topic, as it was, and mark it. Its event id is the same: nobody acts on it twice.

    Raises:
        NotSentError: the letter has no value, or its topic has something newer of the same key.
        RetryableError: Kafka does not answer; it may have been sent, and sending it again does no harm.

    """
    if letter.header(VALUE_LEFT_OUT):
        raise NotSentError(f"its value was too large to be kept: {letter.header(VALUE_LEFT_OUT)}")
    if TOPICS[letter.topic].compacted:
        await _check_newest(settings, letter)
    headers = tuple((name, raw) for name, raw in letter.headers if not name.startswith("dlq_"))
    await producer.send_all([Outgoing(topic=letter.topic, key=letter.key, value=letter.value, headers=headers)])
    mark = (SENT_MARK, str(letter.offset).encode())
    await producer.send_all([Outgoing(topic=letter.topic + DLQ_SUFFIX, key=letter.key, value=None, headers=(mark,))])


async def _check_newest(settings: KafkaSettings, letter: DeadLetter) -> None:
    """Raise NotSentError unless the letter is newer than everything that its topic holds of its key."""
    mine = _version(letter.value, letter.headers)
    if mine is None:
        raise NotSentError("it cannot be read, and its topic keeps the last record of a key")
    key = letter.key.decode(errors="replace")
    newest: int | None = None
    gone = False
    async for record in TopicReader(settings, letter.topic).present():
        if record.key == key:
            gone = record.value is None
            version = _version(record.value, record.headers)
            newest = version if newest is None else max(newest, version or 0)
    if gone:
        raise NotSentError("the owner has purged its key since")
    if newest is not None and newest >= mine:
        raise NotSentError(f"its topic has version {newest} of its key; version {mine} would take its place")


def _version(value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> int | None:
    try:
        return decode(value, headers).body.aggregate_version()
    except InvalidEventError:
        return None
