"""Follow events with typed handlers, each effect once, until told to stop."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from wevion_tokens.contracts import Event, EventBody
from wevion_tokens.events.inbox import Inbox
from wevion_tokens.events.metrics import DELAY, EFFECT_VALUES, EFFECTS
from wevion_tokens.kafka import DeadLetterLimit, EventConsumer, EventProducer, KafkaSettings
from wevion_tokens.runtime.clock import SystemClock
from wevion_tokens.runtime.errors import RetryableError
from wevion_tokens.runtime.tasks import cancel, supervise

Tx = TypeVar("Tx")
B = TypeVar("B", bound=EventBody)

GRACE_S = 20.0
MEASURE_EVERY_S = 5.0

_clock = SystemClock()


class Follower(Generic[Tx]):
    """One consumer group's handlers. Several processes with the same group share the work.

        follower = Follower(profile.kafka(), "billing", PostgresInbox(pool))

        @follower.on(TokenRevokedV1)
        async def stop(event: Event[TokenRevokedV1], db: Connection) -> None: ...

        await follower.run(stop)

    A new group begins with what the topics hold. To know everything first, handle `TokenStateV1` as well: its topic
    is compacted and has the present state of each token, and what the other topics say of an older one is passed over.

    What a handler raises decides what becomes of the event: `RetryableError` (or a time-out) holds its partition until
    it works; `PermanentError` puts it aside on `<topic>.dlq`; anything else is tried a few times and then put aside.

    Args:
        kafka: how to reach the cluster.
        group: the consumer group, and the consumer's name in the inbox.
        inbox: gives each event's handlers their transaction.
        limit: how many dead letters may be sent before the follower stops; None takes the usual one.

    """

    def __init__(
        self, kafka: KafkaSettings, group: str, inbox: Inbox[Tx], *, limit: DeadLetterLimit | None = None
    ) -> None:
        self.group = group
        self._kafka = kafka
        self._inbox = inbox
        self._limit = limit
        self._handlers: dict[type[EventBody], list[Callable[[Event[Any], Tx], Awaitable[None]]]] = defaultdict(list)
        self._consumer: EventConsumer | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._stopping = False
        for effect in EFFECT_VALUES:
            EFFECTS.labels(group, effect)

    def on(
        self, *bodies: type[B]
    ) -> Callable[[Callable[[Event[B], Tx], Awaitable[None]]], Callable[[Event[B], Tx], Awaitable[None]]]:
        """Let the decorated function handle events of these types; several do it in one transaction, in their order."""

        def register(handler: Callable[[Event[B], Tx], Awaitable[None]]) -> Callable[[Event[B], Tx], Awaitable[None]]:
            for body in bodies:
                self._handlers[body].append(handler)
            return handler

        return register

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics that the handlers need."""
        return tuple(sorted({body.TOPIC for body in self._handlers}))

    @property
    def ready(self) -> bool:
        """Return whether partitions were assigned and their records are being worked on; for /readyz."""
        return self._consumer is not None and self._consumer.ready

    async def run(self, stop: asyncio.Event | None = None, *, grace_s: float = GRACE_S) -> None:
        """Follow until `stop` is set, or for ever; what is being handled then is finished and committed.

        Args:
            stop: set it, such as by a signal, to end.
            grace_s: how long the end may take; what is not finished by then comes again.

        Raises:
            ValueError: there is no handler.

        """
        if not self._handlers:
            raise ValueError("nothing is handled: decorate a function with `on`")
        self._stopping = False
        producer = EventProducer(self._kafka)
        self._consumer = EventConsumer(self._kafka, self.group, self.topics, self.handle, producer, limit=self._limit)
        consuming = asyncio.create_task(supervise(self.group, self._consumer.run), name=self.group)
        measuring = asyncio.create_task(self._measure(self._consumer), name=f"{self.group}-lag")
        try:
            await (stop or asyncio.Event()).wait()
            self._stopping = True
            if self._under_way:
                self._idle.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_s):
                        await self._idle.wait()
        finally:
            await cancel(consuming, measuring)
            self._consumer = None
            await producer.stop()

    async def handle(self, event: Event[EventBody]) -> None:
        """Handle one event as if it came from Kafka. Tests call it with examples, see `wevion_tokens.testing`."""
        if self._stopping:
            await asyncio.Event().wait()  # until the consumer is cancelled: whoever has the partition next handles it
        handlers = self._handlers.get(type(event.body))
        if not handlers:
            EFFECTS.labels(self.group, "not_followed").inc()
            return
        self._under_way += 1
        try:
            async with self._inbox.accept(self.group, event) as transaction:
                if transaction is not None:
                    for handler in handlers:
                        await handler(event, transaction)
            EFFECTS.labels(self.group, "handled" if transaction is not None else "repeated_or_overtaken").inc()
            DELAY.labels(self.group, event.topic).observe(max(0.0, (_clock.now() - event.time).total_seconds()))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _measure(self, consumer: EventConsumer) -> None:
        while True:
            await asyncio.sleep(MEASURE_EVERY_S)
            with suppress(RetryableError):
                await consumer.measure()
