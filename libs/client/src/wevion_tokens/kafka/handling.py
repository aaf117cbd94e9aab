"""What becomes of a record that a consumer was given: handled, tried again, or put aside with its reason.

What a handler's error means (see `runtime.errors`): `RetryableError` and a time-out: wait and hand it over
again, for ever; `PermanentError` and whatever cannot be decoded: to the dead-letter topic; any other error: a few more
tries, then the dead-letter topic. The limit of dead letters is shared by all of this; past it the consumer stops.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from wevion_tokens.contracts import Event, EventBody, InvalidEventError, decode
from wevion_tokens.kafka import metrics
from wevion_tokens.kafka.dead_letter import VALUE_LEFT_OUT, DeadLetterLimit, dead_letter
from wevion_tokens.kafka.producer import EventProducer
from wevion_tokens.runtime.errors import PermanentError, RetryableError
from wevion_tokens.runtime.retry import Backoff, retry_until
from wevion_tokens.runtime.tasks import describe
from wevion_tokens.telemetry.logs import get_logger
from wevion_tokens.telemetry.tracing import span

_log = get_logger(__name__)

HANDLER_TIMEOUT_S = 30.0
UNEXPECTED_TRIES = 5
WAITS = Backoff(base_s=0.1, cap_s=5)


@dataclass(frozen=True, slots=True)
class Received:
    """One record as it came; `topic` is the contract's name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Purged:
    """A tombstone on a compacted topic: the owner forgot what has this key."""

    topic: str
    key: str


Handler = Callable[[Event[EventBody]], Awaitable[None]]
"""Handles one event."""
BatchHandler = Callable[[Sequence[Event[EventBody] | Purged]], Awaitable[None]]
"""Handles several, in order, in one transaction: all of them have their effect or none has."""


@dataclass(frozen=True, slots=True)
class InBatches:
    """A handler that takes what came together, of all partitions, at once; tombstones included."""

    handle: BatchHandler
    at_most: int = 500


class NotOursError(Exception):
    """The partitions went to another member of the group, which handles these records again."""


class Handling:
    """Deals with records for one consumer group.

    Args:
        group: the consumer group, for logs, metrics and dead letters.
        handler: takes one event, or batches.
        producer: sends dead letters.
        limit: how many dead letters may be sent in a time.

    """

    def __init__(
        self, group: str, handler: Handler | InBatches, producer: EventProducer, limit: DeadLetterLimit
    ) -> None:
        self.in_batches = isinstance(handler, InBatches)
        self.at_most = handler.at_most if isinstance(handler, InBatches) else 1
        self._group = group
        self._handle = handler.handle if isinstance(handler, InBatches) else partial(_one, handler)
        self._producer = producer
        self._limit = limit

    async def deal_with(self, records: Sequence[Received], ours: Callable[[], bool]) -> None:
        """Return when every one of these records has had its effect or is on its dead-letter topic.

        Args:
            records: in the order of their partitions; at most `at_most`.
            ours: whether this process is still the one to handle them.

        Raises:
            NotOursError: another member has the partitions now.
            TooManyDeadLettersError: so much is bad that going on would hide a fault of ours.

        """
        readable: list[tuple[Received, Event[EventBody] | Purged]] = []
        for record in records:
            try:
                found = self._read(record)
            except InvalidEventError as error:
                await self._put_aside(record, str(error))
            else:
                if found is not None:
                    readable.append((record, found))
        if readable:
            await self._apply(readable, ours)

    def _read(self, record: Received) -> Event[EventBody] | Purged | None:
        if record.value is not None:
            return decode(record.value, record.headers)
        # A tombstone is no event: a key was purged. Handlers of single events are not told.
        return Purged(record.topic, (record.key or b"").decode(errors="replace")) if self.in_batches else None

    async def _apply(
        self, readable: Sequence[tuple[Received, Event[EventBody] | Purged]], ours: Callable[[], bool]
    ) -> None:
        things = [thing for _, thing in readable]
        alone = len(readable) == 1
        attempt = 0
        while True:
            attempt += 1
            try:
                with span(things[0].traceparent if alone and isinstance(things[0], Event) else None):
                    async with asyncio.timeout(HANDLER_TIMEOUT_S):
                        await self._handle(things)
            except (RetryableError, TimeoutError) as error:
                self._say("event_waits", things, error, attempt)
            except Exception as error:  # noqa: BLE001  counted tries, then the dead-letter topic
                if not alone:
                    break  # one of them is bad: the loop below finds out which, without holding up the others
                self._say("event_failed", things, error, attempt)
                if isinstance(error, PermanentError) or attempt >= UNEXPECTED_TRIES:
                    await self._put_aside(readable[0][0], describe(error))
                    return
            else:
                for record, _ in readable:
                    metrics.CONSUMED.labels(self._group, record.topic).inc()
                return
            if not ours():
                raise NotOursError
            await asyncio.sleep(WAITS.delay(attempt, self._group))
        for each in readable:
            await self._apply([each], ours)

    def _say(self, what: str, things: Sequence[Event[EventBody] | Purged], error: Exception, attempt: int) -> None:
        first = things[0]
        told = (
            {"type": first.type, "event_id": str(first.id), "subject": first.body.subject()}
            if isinstance(first, Event)
            else {"type": "tombstone", "subject": first.key}
        )
        _log.warning(what, group=self._group, **told, records=len(things), error=describe(error), attempt=attempt)

    async def _put_aside(self, record: Received, reason: str) -> None:
        self._limit.note()
        metrics.DEAD_LETTERS.labels(self._group, record.topic).inc()
        _log.error(
            "event_dead_lettered",
            group=self._group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        letter = dead_letter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            consumer=self._group,
            reason=reason,
        )

        def say(error: Exception, attempt: int) -> None:
            _log.warning("dead_letter_waits", group=self._group, error=describe(error), attempt=attempt)

        # Without the dead letter the event would be lost, so nothing moves until it is written.
        send = self._producer.send_all
        try:
            await retry_until(lambda: send([letter]), WAITS, seed=record.topic, waiting=say)
        except PermanentError:
            short = replace(letter, value=None, headers=(*letter.headers, (VALUE_LEFT_OUT, b"see the original record")))
            await retry_until(lambda: send([short]), WAITS, seed=record.topic, waiting=say)


async def _one(handler: Handler, things: Sequence[Event[EventBody] | Purged]) -> None:
    for thing in things:
        if isinstance(thing, Event):
            await handler(thing)
