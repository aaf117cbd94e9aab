"""Between the streams and the inventory: decode, batch, apply, acknowledge. Nothing here raises into a stream.

A stream hands over records one by one and does not wait for their effect; a record is acknowledged only after the
transaction that holds its effect was committed (or its dead letter written), so a crash repeats and never loses.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from common.contracts import Event, EventBody, InvalidEventError, decode
from common.kafka import EventProducer, dead_letter
from common.runtime.clock import Clock, monotonic
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.retry import Backoff
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from expiry_watcher import metrics
from expiry_watcher.operations import Deps, forget, track

_log = get_logger(__name__)

GROUP = "expiry-watcher"
BATCH = 500
WAITING_AT_MOST = 2_000
"""Records in memory before the streams have to wait."""
UNEXPECTED_TRIES = 5
APPLY_TIMEOUT_S = 20.0
COMPACTED = "token.state"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record as the stream gave it, and how to acknowledge it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    acknowledge: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Poison:
    """A record that cannot be read or applied, and why."""

    record: Incoming
    reason: str


class Feed:
    """A bounded queue in front of the inventory, drained in batches by one task."""

    def __init__(self, deps: Deps, producer: EventProducer, clock: Clock) -> None:
        self._deps = deps
        self._producer = producer
        self._clock = clock
        self._queue: asyncio.Queue[Incoming] = asyncio.Queue(WAITING_AT_MOST)
        self._waits = Backoff(base_s=0.1, cap_s=5)
        self._busy_since: float | None = None

    async def put(self, record: Incoming) -> None:
        """Hand a record over; waits while too many are under way."""
        await self._queue.put(record)

    @property
    def busy_s(self) -> float:
        """Seconds that the present batch has taken; 0 when nothing is under way."""
        return 0.0 if self._busy_since is None else monotonic() - self._busy_since

    async def run(self) -> None:
        """Drain until cancelled. What was not acknowledged by then comes again."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._busy_since = monotonic()
            try:
                await self.apply(batch)
            finally:
                self._busy_since = None

    async def apply(self, batch: Sequence[Incoming]) -> None:
        """Apply records in order and acknowledge them. Returns only when all of them are dealt with."""
        try:
            await self._apply_together(batch)
        except _UnusableError:
            # One of them is bad: find out which, without holding up the others.
            for record in batch:
                await self._apply_alone(record)

    async def _apply_together(self, batch: Sequence[Incoming]) -> None:
        events: list[Event[EventBody]] = []
        purged: list[UUID] = []
        for record in batch:
            found = _read(record)
            if isinstance(found, _Poison):
                raise _UnusableError(found.reason)
            if isinstance(found, UUID):
                purged.append(found)
            else:
                events.append(found)
        await self._write(events, purged, tries=UNEXPECTED_TRIES if len(batch) == 1 else 1)
        for record in batch:
            record.acknowledge()

    async def _write(self, events: Sequence[Event[EventBody]], purged: Sequence[UUID], *, tries: int) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(APPLY_TIMEOUT_S):
                    if events:
                        await track(self._deps, events)
                    if purged:
                        await forget(self._deps, purged, self._clock.now())
            except (RetryableError, TimeoutError) as error:
                _log.warning("feed_waits", events=len(events), error=describe(error), attempt=attempt)
            except Exception as error:
                _log.warning("feed_failed", events=len(events), error=describe(error), attempt=attempt)
                if attempt >= tries:
                    raise _UnusableError(describe(error)) from error
            else:
                return
            await asyncio.sleep(self._waits.delay(attempt, GROUP))

    async def _apply_alone(self, record: Incoming) -> None:
        found = _read(record)
        if isinstance(found, _Poison):
            await self._put_aside(found)
            return
        try:
            await self._apply_together([record])
        except _UnusableError as error:
            await self._put_aside(_Poison(record, str(error)))

    async def _put_aside(self, poison: _Poison) -> None:
        record = poison.record
        metrics.DEAD_LETTERS.labels(record.topic).inc()
        _log.error(
            "event_dead_lettered",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=poison.reason,
        )
        letter = dead_letter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            consumer=GROUP,
            reason=poison.reason,
        )
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._producer.send_all([letter])
            except RetryableError as error:
                # Without the dead letter the record would be lost, so nothing moves until it is written.
                _log.warning("dead_letter_waits", error=describe(error), attempt=attempt)
                await asyncio.sleep(self._waits.delay(attempt, record.topic))
            except PermanentError as error:
                _log.error("dead_letter_refused", topic=record.topic, error=describe(error))
                break
            else:
                break
        record.acknowledge()


class _UnusableError(Exception):
    """A batch with a record in it that cannot be applied."""


def _read(record: Incoming) -> Event[EventBody] | UUID | _Poison:
    """The event of a record, the id of a token that was purged, or what is wrong with the record."""
    if record.value is None and record.topic == COMPACTED:
        try:
            return UUID((record.key or b"").decode())
        except ValueError:
            return _Poison(record, "a tombstone whose key is not a token id")
    try:
        return decode(record.value, record.headers)
    except InvalidEventError as error:
        return _Poison(record, str(error))
