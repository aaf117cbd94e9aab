"""The Faust application: built anew for every run, watched for progress, thrown away when it stands still.

Faust does not retry a start without a broker and can stall for good after broker trouble (L4), so this
room waits for Kafka itself, and gives up an application that crashed or makes no progress.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from faust.contrib.asgi import faust_app_running

from common.kafka import EventProducer, KafkaSettings
from common.runtime.clock import monotonic
from common.runtime.errors import RetryableError
from common.runtime.retry import Backoff
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from expiry_watcher import metrics
from expiry_watcher.agents.feed import GROUP, Feed, Incoming
from expiry_watcher.agents.safe import SafeTransport

_log = get_logger(__name__)

TOPICS = ("token.issued", "token.refreshed", "token.revoked", "token.state", "token.accounts")
WATCH_EVERY_S = 1.0
STALLED_AFTER_S = 60.0
"""No progress with work waiting for this long means that the consumer is stuck, not slow."""
STOP_TIMEOUT_S = 8.0


class Streams:
    """Runs the agents for as long as the service lives."""

    def __init__(
        self, kafka: KafkaSettings, feed: Feed, producer: EventProducer, *, session_timeout_s: float = 10.0
    ) -> None:
        self._kafka = kafka
        self._feed = feed
        self._producer = producer
        self._session_timeout_s = session_timeout_s
        self._assigned = False
        self._progress = monotonic()
        self._position = -1

    @property
    def ready(self) -> bool:
        """Whether partitions are assigned and work moves: progress, not "the process is up"."""
        return self._assigned and not self._stalled

    @property
    def _stalled(self) -> bool:
        return monotonic() - self._progress > STALLED_AFTER_S

    async def run(self) -> None:
        """One life of a Faust application. Raises when it is over; the supervisor starts the next."""
        await self._wait_for_kafka()
        app = build_app(self._kafka, self._feed, session_timeout_s=self._session_timeout_s)
        self._progress, self._position = monotonic(), -1
        try:
            async with faust_app_running(app, stop_timeout=STOP_TIMEOUT_S):
                await self._watch(app)
        finally:
            self._assigned = False

    async def _wait_for_kafka(self) -> None:
        waits, attempt = Backoff(base_s=0.2, cap_s=5), 0
        while True:
            try:
                await self._producer.start()
            except RetryableError as error:
                attempt += 1
                _log.warning("waiting_for_kafka", error=describe(error), attempt=attempt)
                await asyncio.sleep(waits.delay(attempt, GROUP))
            else:
                return

    async def _watch(self, app: faust.App) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if app.crashed or app.should_stop:
                raise StreamsEndedError("the Faust application crashed") from app.crash_reason
            self._note_progress(app)
            if self._stalled:
                raise StreamsEndedError(f"no progress for {STALLED_AFTER_S:.0f} s with records waiting")

    def _note_progress(self, app: faust.App) -> None:
        consumer: Any = app.consumer
        assignment = consumer.assignment()
        self._assigned = bool(assignment) and not app.rebalancing
        lag, position = dict.fromkeys(TOPICS, 0), 0
        for tp in assignment:
            topic = self._kafka.contract_name(tp.topic)
            committed = consumer._committed_offset[tp] or 0  # noqa: SLF001  Faust computes no lag itself
            end = consumer.highwater(tp) or 0
            position += committed
            if topic in lag:
                lag[topic] += max(end - committed, 0)
        for topic, records in lag.items():
            metrics.STREAM_LAG.labels(topic).set(records)
        if position != self._position or not any(lag.values()) or not self._assigned:
            self._progress, self._position = monotonic(), position


class StreamsEndedError(Exception):
    """The Faust application is of no more use: the next one is built."""


def build_app(
    kafka: KafkaSettings, feed: Feed, *, session_timeout_s: float = 10.0, store: str = "memory://"
) -> faust.App:
    """A Faust application with one agent per topic, none of which decodes or decides anything."""
    logging.getLogger("expiry_watcher.agents").setLevel(logging.WARNING)  # Faust logs under its subclasses' modules
    app = _App(
        kafka.wire_name(GROUP),
        broker=";".join(f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")),
        broker_client_id=kafka.client_id,
        broker_credentials=_credentials(kafka),
        store=store,
        web_enabled=False,  # its pages show tables to anybody
        topic_partitions=3,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 4,
        broker_rebalance_timeout=30,
        broker_max_poll_interval=120,
        broker_commit_interval=1.0,
        broker_commit_every=500,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=1024,
        stream_wait_empty=False,  # it waits without a limit; what was not acknowledged in time is repeated, harmlessly
        worker_redirect_stdouts=False,
        producer_acks=-1,
    )
    for topic in TOPICS:
        channel = app.topic(
            kafka.wire_name(topic),
            key_type=bytes,
            key_serializer="raw",
            value_type=bytes,
            value_serializer="raw",
            allow_empty=True,  # tombstones
        )
        app.agent(channel, concurrency=1, name=f"follow {topic}")(_follow(topic, feed))
    return app


def _follow(topic: str, feed: Feed) -> Callable[[Any], Any]:
    async def follow(stream: Any) -> None:
        # Acknowledged by the feed, after the commit. Nothing in this body can raise: an exception would
        # acknowledge the record all the same, and lose it.
        async for event in stream.noack().events():
            message = event.message
            await feed.put(
                Incoming(
                    topic=topic,
                    partition=message.partition,
                    offset=message.offset,
                    key=message.key,
                    value=message.value,
                    headers=_headers(message.headers),
                    acknowledge=event.ack,
                )
            )

    return follow


def _headers(headers: Any) -> tuple[tuple[str, bytes], ...]:
    if not headers:
        return ()
    pairs = headers.items() if hasattr(headers, "items") else headers
    return tuple((name, value) for name, value in pairs)


def _credentials(kafka: KafkaSettings) -> Any:
    arguments = kafka.client_arguments()
    context = arguments.get("ssl_context")
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context is not None else None


class _App(faust.App):
    def _new_transport(self) -> SafeTransport:
        return SafeTransport(self.conf.broker_consumer, self, loop=self.loop)

    def _create_directories(self) -> None:
        """None: the memory store needs no folder, and the working directory may be read-only."""
