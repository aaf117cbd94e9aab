"""Consume events in a group: hand them over, then commit. Manual commits only.

A commit follows the handler's own commit, so an event can come twice, never never. What a handler's errors mean says
`wevion_tokens.kafka.handling`. How far behind a group is, is measured from what it has committed, by a task of its own
(`measure`): the loop that consumes may be the very thing that stands still.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from wevion_tokens.kafka import metrics
from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.dead_letter import DeadLetterLimit
from wevion_tokens.kafka.handling import Handler, Handling, InBatches, NotOursError, Received
from wevion_tokens.kafka.pacing import LONG_POLL_MS, paced
from wevion_tokens.kafka.producer import EventProducer
from wevion_tokens.kafka.stopping import stop_client
from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.errors import RetryableError
from wevion_tokens.runtime.tasks import describe
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)

STOP_TIMEOUT_S = 10.0
STALLED_AFTER_S = 60.0


class EventConsumer:
    """One member of a consumer group.

    A handler of single events gets them in order within a partition, partitions side by side. A handler of batches
    (`InBatches`) gets what came together in all partitions, in order within each.

    Args:
        settings: how to reach the cluster.
        group: the consumer group's name, without the cluster's prefix.
        topics: the contract's names.
        handler: takes one event, or batches.
        producer: sends dead letters.
        session_timeout_s: how long a killed member's partitions stand still.
        limit: how many dead letters may be sent before the consumer stops; None takes the usual one.

    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        handler: Handler | InBatches,
        producer: EventProducer,
        *,
        session_timeout_s: float = 10.0,
        limit: DeadLetterLimit | None = None,
    ) -> None:
        self.group = group
        self._settings = settings
        self._topics = tuple(topics)
        self._limit = limit or DeadLetterLimit()
        self._handling = Handling(group, handler, producer, self._limit)
        self._session_timeout_s = session_timeout_s
        self._member: AIOKafkaConsumer | None = None
        self._assigned = False
        self._committed: dict[TopicPartition, int] = {}
        self._measured: set[TopicPartition] = set()
        self._progress = monotonic()
        self._lag = 0
        metrics.STOPPED.labels(group).set_function(lambda: float(self._limit.stopped_for_s > 0))
        for topic in topics:
            metrics.CONSUMED.labels(group, topic)
            metrics.DEAD_LETTERS.labels(group, topic)

    @property
    def ready(self) -> bool:
        """Return whether partitions were assigned and their records are being worked on."""
        return self._assigned and (self._lag == 0 or monotonic() - self._progress < STALLED_AFTER_S)

    async def run(self) -> None:
        """Consume until cancelled. Broker trouble raises, and the supervisor runs it again with a new member."""
        if (pause_s := self._limit.stopped_for_s) > 0:
            _log.error("consumer_stopped", group=self.group, for_s=round(pause_s))
            await asyncio.sleep(pause_s)
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            group_id=self._settings.wire_name(self.group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._session_timeout_s * 1000 / 4),
            rebalance_timeout_ms=30_000,
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=LONG_POLL_MS,
            metadata_max_age_ms=30_000,
        )
        paced(consumer)
        consumer.subscribe([self._settings.wire_name(topic) for topic in self._topics], listener=_Listener(self))
        try:
            await consumer.start()
            self._member = consumer
            while True:
                found = await consumer.getmany(timeout_ms=LONG_POLL_MS, max_records=500)
                if found:
                    await self._handle(consumer, found)
        finally:
            self._member = None
            self._moved(assigned=False)
            await stop_client(consumer, STOP_TIMEOUT_S)

    async def measure(self) -> None:
        """Measure how far the group is behind on the partitions that this member has: from what it has committed.

        Raises:
            RetryableError: this process is no member of the group now, or the broker does not answer.

        """
        consumer = self._member
        if consumer is None:
            raise RetryableError(f"no member of {self.group}")
        mine: set[TopicPartition] = set(consumer.assignment())
        try:
            ends = await consumer.end_offsets(mine) if mine else {}
            for tp in mine - self._committed.keys():
                self._committed[tp] = await self._first_offset(consumer, tp)
        except (KafkaError, IllegalStateError, OSError) as error:
            raise RetryableError("the broker does not answer") from error
        for tp in self._measured - mine:
            metrics.LAG.remove(*self._labels(tp))
        self._measured = mine
        total = 0
        for tp in mine:
            lag = max(ends[tp] - self._committed[tp], 0)
            metrics.LAG.labels(*self._labels(tp)).set(lag)
            total += lag
        self._lag = total
        if total == 0:
            self._note_progress()

    async def _first_offset(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
        """Return what the group had committed before this member; where nothing was, the beginning of the partition."""
        committed: int | None = await consumer.committed(tp)
        if committed is None:
            committed = (await consumer.beginning_offsets([tp]))[tp]
        return committed

    def _labels(self, tp: TopicPartition) -> tuple[str, str, str]:
        return self.group, self._settings.contract_name(tp.topic), str(tp.partition)

    def _moved(self, *, assigned: bool) -> None:
        """Partitions come or go: what was committed is asked again."""
        self._assigned = assigned
        self._committed.clear()

    def _note_progress(self) -> None:
        self._progress = monotonic()
        metrics.PROGRESS.labels(self.group).set_to_current_time()

    async def _handle(self, consumer: AIOKafkaConsumer, found: dict[TopicPartition, list[Any]]) -> None:
        received = {tp: [self._received(record) for record in records] for tp, records in found.items()}
        if self._handling.in_batches:
            await self._handle_in_order(consumer, [(tp, record) for tp in received for record in received[tp]])
            return
        errors: list[Exception] = []

        async def one_partition(tp: TopicPartition) -> None:
            # What fails in one partition cuts off none of the others: a dead letter that was counted must also be
            # written and committed, or a consumer that reached its limit would begin with the same ones again.
            try:
                await self._handle_in_order(consumer, [(tp, record) for record in received[tp]])
            except Exception as error:  # noqa: BLE001  raised below
                errors.append(error)

        async with asyncio.TaskGroup() as group:
            for tp in received:
                group.create_task(one_partition(tp))
        if errors:
            raise errors[0]

    async def _handle_in_order(
        self, consumer: AIOKafkaConsumer, records: Sequence[tuple[TopicPartition, Received]]
    ) -> None:
        done: dict[TopicPartition, int] = {}
        try:
            for start in range(0, len(records), self._handling.at_most):
                batch = records[start : start + self._handling.at_most]
                partitions = {tp for tp, _ in batch}

                def ours(partitions: set[TopicPartition] = partitions) -> bool:
                    return bool(partitions & consumer.assignment())

                if not ours():
                    return  # another member has them now and will see the rest
                await self._handling.deal_with([record for _, record in batch], ours)
                done |= {tp: record.offset + 1 for tp, record in batch}
        except NotOursError:
            return
        finally:
            if done:
                await self._commit(consumer, done)

    async def _commit(self, consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        mine = {tp: offset for tp, offset in offsets.items() if tp in consumer.assignment()}
        try:
            if mine:
                await consumer.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions moved on. Their new owner repeats these events, and the inbox drops them.
            _log.info("commit_refused", group=self.group, error=describe(error))
        else:
            self._committed |= mine
            self._note_progress()

    def _received(self, record: Any) -> Received:
        return Received(
            topic=self._settings.contract_name(record.topic),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(self, owner: EventConsumer) -> None:
        self._owner = owner

    async def on_partitions_revoked(self, _revoked: list[TopicPartition]) -> None:
        self._owner._moved(assigned=False)  # noqa: SLF001

    async def on_partitions_assigned(self, _assigned: list[TopicPartition]) -> None:
        self._owner._moved(assigned=True)  # noqa: SLF001
