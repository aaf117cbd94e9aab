"""Sees what happens: every event on Kafka by a reader of its own, and polls with deadlines.

A thing that was not seen did not happen: whoever waits here in vain gets `NotObservedError` with what was seen instead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from common.contracts import TOPICS, Event, EventBody, InvalidEventError, decode
from common.kafka import KafkaSettings, TopicReader
from common.runtime.clock import monotonic
from devstack.browser import RefusedError

B = TypeVar("B", bound=EventBody)
T = TypeVar("T")

#: Every wait of the story. A service that was killed is back well within it: restart backoff, start, catching up.
PATIENCE_S = 45.0
POLL_S = 0.05
TOO_MANY_REQUESTS = 429
SERVER_ERRORS_FROM = 500


class NotObservedError(Exception):
    """Something that the story needs was not seen in time."""


class Witness:
    """The events since it began to watch, in the order of their arrival. Delivered twice counts once."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self._events: dict[str, Event[EventBody]] = {}
        self._came = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def watching(cls, bootstrap: str) -> "AsyncIterator[Witness]":
        """Watches from now on, until the block ends."""
        settings = KafkaSettings(bootstrap_servers=bootstrap, client_id="devstack-witness")
        witness = cls(TopicReader(settings, *TOPICS, start="latest"))
        task = asyncio.create_task(witness._follow())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await witness._reader.caught_up.wait()
            yield witness
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def count(self) -> int:
        return len(self._events)

    def events(self) -> list[Event[EventBody]]:
        """Everything seen so far, each event once."""
        return list(self._events.values())

    async def saw(
        self, kind: type[B], where: Callable[[B], bool], what: str, patience_s: float = PATIENCE_S
    ) -> Event[B]:
        """The first event of that kind that fits, past or to come."""
        return (await self.saw_all(kind, where, 1, what, patience_s))[0]

    async def saw_all(
        self, kind: type[B], where: Callable[[B], bool], count: int, what: str, patience_s: float = PATIENCE_S
    ) -> list[Event[B]]:
        """The first `count` events of that kind that fit."""
        try:
            async with asyncio.timeout(patience_s), self._came:
                while len(found := self._matching(kind, where)) < count:
                    await self._came.wait()
                return found[:count]
        except TimeoutError:
            others = [event.type for event in self._events.values()][-8:]
            raise NotObservedError(
                f"{what}: {len(self._matching(kind, where))} of {count} {kind.TOPIC} within {patience_s:g} s; "
                f"the last events were {', '.join(others) or 'none'}"
            ) from None

    def _matching(self, kind: type[B], where: Callable[[B], bool]) -> list[Event[B]]:
        return [
            event  # type: ignore[misc]  # isinstance on the body does not narrow the event
            for event in self._events.values()
            if isinstance(event.body, kind) and where(event.body)
        ]

    async def _follow(self) -> None:
        async for record in self._reader:
            try:
                event = decode(record.value, record.headers)
            except InvalidEventError:
                continue  # tombstones, and whatever a visitor wrote; dead letters are the consumers' business
            async with self._came:
                self._events.setdefault(str(event.id), event)
                self._came.notify_all()


async def persist(work: Callable[[], Awaitable[T]], what: str, patience_s: float = PATIENCE_S) -> T:
    """Does it again while a part of the stack is away (no connection, 5xx) or busy (429); its refusals are final."""
    deadline = monotonic() + patience_s
    while True:
        try:
            return await work()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            last = str(exc) or type(exc).__name__
        except RefusedError as exc:
            if exc.status < SERVER_ERRORS_FROM and exc.status != TOO_MANY_REQUESTS:
                raise
            last = str(exc)
        if monotonic() > deadline:
            raise NotObservedError(f"{what}: not within {patience_s:g} s; last: {last}")
        await asyncio.sleep(POLL_S * 4)


async def becomes(look: Callable[[], Awaitable[T | None]], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first truthy value of `look`, which may meet parts that are away."""
    deadline = monotonic() + patience_s
    last: object = None
    while True:
        found = await persist(look, what, max(deadline - monotonic(), POLL_S))
        if found:
            return found
        last = found
        if monotonic() > deadline:
            raise NotObservedError(f"{what}: not within {patience_s:g} s; last: {last!r}")
        await asyncio.sleep(POLL_S)
