"""Consume events in a group: decode, handle, then commit. Manual commits only.

What a handler's error means (see `common.runtime.errors`): `RetryableError`: wait and hand it over again, for ever;
`PermanentError` and anything undecodable: to the dead-letter topic with the reason, and on; any other error: a few more
tries, then the dead-letter topic. A commit follows the handler's own commit, so an event can come twice, never never.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from common.contracts import Event, EventBody, InvalidEventError, decode
from common.kafka import metrics
from common.kafka.connection import KafkaSettings
from common.kafka.dead_letter import DeadLetterLimit, dead_letter
from common.kafka.pacing import paced
from common.kafka.producer import EventProducer
from common.kafka.stopping import stop_client
from common.runtime.clock import monotonic
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.retry import Backoff
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from common.telemetry.tracing import span

_log = get_logger(__name__)

Handler = Callable[[Event[EventBody]], Awaitable[None]]

HANDLER_TIMEOUT_S = 30.0
UNEXPECTED_TRIES = 5
STOP_TIMEOUT_S = 10.0
STALLED_AFTER_S = 60.0


class EventConsumer:
    """One member of a consumer group that hands events to one handler, in order within a partition."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        producer: EventProducer,
        *,
        session_timeout_s: float = 10.0,
        limit: DeadLetterLimit | None = None,
    ) -> None:
        self.group = group
        self._settings = settings
        self._topics = tuple(topics)
        self._handler = handler
        self._producer = producer
        self._session_timeout_s = session_timeout_s
        self._limit = limit or DeadLetterLimit()
        self._waits = Backoff(base_s=0.1, cap_s=5)
        self._assigned = False
        self._progress = monotonic()
        self._lag = 0

    @property
    def ready(self) -> bool:
        """Whether partitions were assigned and work is not standing still (progress, not "the process is up")."""
        return self._assigned and (self._lag == 0 or monotonic() - self._progress < STALLED_AFTER_S)

    async def run(self) -> None:
        """Consume until cancelled. Broker trouble raises, and the supervisor runs it again with a new member."""
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            group_id=self._settings.wire_name(self.group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._session_timeout_s * 1000 / 4),
            rebalance_timeout_ms=30_000,
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
        )
        paced(consumer)
        consumer.subscribe([self._settings.wire_name(topic) for topic in self._topics], listener=_Listener(self))
        try:
            await consumer.start()
            while True:
                batches = await consumer.getmany(timeout_ms=500, max_records=500)
                self._measure(consumer)
                if batches:
                    await self._handle(consumer, batches)
        finally:
            self._assigned = False
            await stop_client(consumer, STOP_TIMEOUT_S)

    async def _handle(self, consumer: AIOKafkaConsumer, batches: dict[TopicPartition, list[Any]]) -> None:
        # Partitions side by side, records of one partition in order; each partition commits what it has finished.
        async with asyncio.TaskGroup() as group:
            for tp, records in batches.items():
                group.create_task(self._handle_partition(consumer, tp, records))

    async def _handle_partition(self, consumer: AIOKafkaConsumer, tp: TopicPartition, records: list[Any]) -> None:
        done = 0
        try:
            for record in records:
                if tp not in consumer.assignment():
                    return  # another member has it now and will see the rest
                await self._handle_record(record)
                done += 1
        finally:
            if done:
                await self._commit(consumer, tp, records[done - 1].offset + 1)

    async def _commit(self, consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
        self._progress = monotonic()
        try:
            await consumer.commit({tp: offset})
        except (CommitFailedError, IllegalStateError) as error:
            # The partition moved on. Its new owner repeats these events, and the inbox drops them.
            _log.info("commit_refused", group=self.group, topic=tp.topic, error=describe(error))

    async def _handle_record(self, record: Any) -> None:
        topic = self._settings.contract_name(record.topic)
        if record.value is None:
            return  # a tombstone on a compacted topic: the key was purged, which is no event
        try:
            event = decode(record.value, record.headers)
        except InvalidEventError as error:
            await self._put_aside(record, topic, str(error))
            return
        attempt = 0
        while True:
            attempt += 1
            try:
                with span(event.traceparent):
                    async with asyncio.timeout(HANDLER_TIMEOUT_S):
                        await self._handler(event)
            except (RetryableError, TimeoutError) as error:
                self._say("event_waits", event, error, attempt)
            except PermanentError as error:
                await self._put_aside(record, topic, describe(error))
                return
            except Exception as error:  # noqa: BLE001  counted tries, then the dead-letter topic
                self._say("event_failed", event, error, attempt)
                if attempt >= UNEXPECTED_TRIES:
                    await self._put_aside(record, topic, describe(error))
                    return
            else:
                metrics.CONSUMED.labels(self.group, topic).inc()
                return
            await asyncio.sleep(self._waits.delay(attempt, str(event.id)))

    def _say(self, what: str, event: Event[EventBody], error: BaseException, attempt: int) -> None:
        _log.warning(
            what,
            group=self.group,
            type=event.type,
            event_id=str(event.id),
            subject=event.body.subject(),
            error=describe(error),
            attempt=attempt,
        )

    async def _put_aside(self, record: Any, topic: str, reason: str) -> None:
        self._limit.note()
        metrics.DEAD_LETTERS.labels(self.group, topic).inc()
        _log.error(
            "event_dead_lettered",
            group=self.group,
            topic=topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        letter = dead_letter(
            topic=topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            consumer=self.group,
            reason=reason,
        )
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._producer.send_all([letter])
            except RetryableError as error:
                # Without the dead letter the event would be lost, so nothing moves until it is written.
                _log.warning("dead_letter_waits", group=self.group, error=describe(error), attempt=attempt)
                await asyncio.sleep(self._waits.delay(attempt, topic))
            else:
                return

    def _measure(self, consumer: AIOKafkaConsumer) -> None:
        total = 0
        for tp in consumer.assignment():
            high, position = consumer.highwater(tp), consumer.last_poll_timestamp(tp)
            if high is None or position is None:
                continue
            state = consumer._subscription.subscription.assignment.state_value(tp)  # noqa: SLF001  position() would wait
            lag = max(high - state._position, 0) if state is not None and state._position is not None else 0  # noqa: SLF001
            metrics.LAG.labels(self.group, self._settings.contract_name(tp.topic), str(tp.partition)).set(lag)
            total += lag
        self._lag = total
        if total == 0:
            self._progress = monotonic()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(self, owner: EventConsumer) -> None:
        self._owner = owner

    async def on_partitions_revoked(self, _revoked: list[TopicPartition]) -> None:
        self._owner._assigned = False  # noqa: SLF001

    async def on_partitions_assigned(self, _assigned: list[TopicPartition]) -> None:
        self._owner._assigned = True  # noqa: SLF001
