"""Open what a service needs, watch it, and close it in reverse."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from common.auth import JwksCache, Keys, RevocationFeed, RevocationSet, ServiceTokens, Verifier
from common.kafka import EventConsumer, EventProducer, Handler, InBatches, KafkaSettings
from common.outbox import Express, Relay, purge
from common.outbox.express import SEND_TIMEOUT_S
from common.outbox.relay import CHANNEL, POLL_S
from common.postgres import Pool, listen
from common.runtime import tasks
from common.runtime.clock import Clock, SystemClock, monotonic
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.lifecycle import stop_signals
from common.runtime.periodic import Periodic
from common.runtime.retry import Backoff, retry_until
from common.service import metrics
from common.service.settings import ServiceSettings
from common.telemetry.logs import get_logger
from common.web import HEALTH, Health, ReadyCheck, Routes, Server, create_app, serve

_log = get_logger(__name__)

START_WAIT_S = 120.0
"""How long a start waits for the database before it gives up and lets the orchestrator decide."""
START_WAITS = Backoff(base_s=0.2, cap_s=5)
YOUNG_OBJECTS = 10_000
"""New objects that start a collection. Python's default of 700 is passed by one batch of rows: a seventh of a busy
oauth-svc's time went into collections, though almost everything here dies with its last reference."""
INBOX_PURGE_EVERY_S = 600.0
OUTBOX_AGE_EVERY_S = 10.0
POLL_BEHIND_POOLER_S = 0.1
"""Notifications do not pass pgbouncer in transaction mode, so the relay looks more often there."""
LOOP_PROBE_S = 1.0
LAG_EVERY_S = 10.0


class Service:
    """One running service: an asynchronous context that owns pool, clients, tasks and web server.

    Opening order is the order of the calls; closing is the reverse. `run` waits for SIGTERM.
    """

    def __init__(self, settings: ServiceSettings, *, name: str, version: str = "0.1.0") -> None:
        self.settings = settings
        self.name = name
        self.version = version
        self.clock: Clock = SystemClock()
        self.kafka: KafkaSettings = settings.kafka(name)
        self.ready_checks: dict[str, ReadyCheck] = {}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._health: list[Health] = []

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self.task("event-loop-lag", _watch_loop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Tasks first: they use everything that the stack closes.
        await tasks.cancel(*self._tasks)
        await self._stack.__aexit__(kind, error, trace)

    async def postgres(self) -> Pool:
        """Return the service's database; waits for it at start, up to two minutes.

        Raises:
            PermanentError: it never answered.

        """

        async def opened() -> Pool:
            return await self.settings.database(self.name)

        def say(error: Exception, attempt: int) -> None:
            _log.warning("waiting_for_database", attempt=attempt, error=tasks.describe(error))

        try:
            pool = await retry_until(opened, START_WAITS, seed=self.name, within_s=START_WAIT_S, waiting=say)
        except RetryableError as error:
            raise PermanentError("the database of WEVION_DATABASE_URL does not answer") from error
        self._stack.push_async_callback(_close_pool, pool)
        self.ready_checks["database"] = _database_check(pool, self.clock)
        return pool

    def http(self) -> aiohttp.ClientSession:
        """The client for calls to Wevion's own services (calls to platforms have connectors of their own)."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10, connect=2))
            self._stack.push_async_callback(self._http.close)
        return self._http

    async def producer(self) -> EventProducer:
        """Return the Kafka producer. It connects when first used, so a start does not need the broker."""
        producer = EventProducer(self.kafka)
        self._stack.push_async_callback(producer.stop)
        return producer

    async def outbox(self, pool: Pool, producer: EventProducer) -> Relay:
        """Relay the database's outbox, and forget inbox rows that can no longer matter."""
        pooled = self.settings.database_statement_cache_size == 0
        relay = Relay(pool, producer, poll_s=POLL_BEHIND_POOLER_S if pooled else POLL_S)
        self.task("outbox-relay", relay.run)
        if not pooled:
            dsn = self.settings.database_url.get_secret_value()
            heard = partial(listen, dsn, CHANNEL, relay.look, application_name=f"{self.name} listens")
            self.task("outbox-listener", heard)
        self.periodic(Periodic("outbox-age", relay.measure, interval_s=OUTBOX_AGE_EVERY_S, timeout_s=10.0))
        self.periodic(Periodic("inbox-purge", lambda: purge(pool), interval_s=INBOX_PURGE_EVERY_S))
        return relay

    async def express(self, *topics: str) -> Express:
        """Send urgent events of committed transactions to these topics at once, whoever holds the outbox's lease."""
        producer = EventProducer(self.kafka, send_timeout_s=SEND_TIMEOUT_S)
        self._stack.push_async_callback(producer.stop)
        express = Express(producer, *topics)
        self.task("outbox-express", express.run)
        return express

    async def verifier(self) -> Verifier:
        """Verify JWTs here: keys from the JWKS, revocations from `token.state`. Not ready until caught up."""
        keys = JwksCache(self.http(), self.settings.jwks_url)
        return Verifier(
            keys,
            self.revocations(keys),
            issuer=self.settings.issuer,
            audience=self.settings.audience,
            public_url=self.settings.public_url,
            clock=self.clock,
        )

    def revocations(self, keys: Keys) -> RevocationSet:
        """Follow `token.state`: the set of ended sessions, which is complete once the topic has been read.

        `keys` are the issuer's, which signs the states of sessions.
        """
        found = RevocationSet()
        feed = RevocationFeed(
            self.kafka,
            found,
            keys,
            clock=self.clock,
            max_stale_s=self.settings.revocations_max_stale_s,
            accept_unsigned=self.settings.accept_unsigned_states,
        )
        self.task("revocation-feed", feed.run)
        self.ready_checks["revocations"] = feed.ready
        return found

    def service_tokens(self) -> ServiceTokens:
        """Return the JWT of the service itself, for calls to the others.

        Raises:
            PermanentError: the client id or secret is not set.

        """
        identity, secret = self.settings.service_client_id, self.settings.service_client_secret
        if identity is None or secret is None:
            raise PermanentError("set WEVION_SERVICE_CLIENT_ID and WEVION_SERVICE_CLIENT_SECRET")
        return ServiceTokens(self.http(), self.settings.token_url, identity, secret)

    def consumer(
        self, group: str, topics: Sequence[str], handler: Handler | InBatches, producer: EventProducer
    ) -> EventConsumer:
        """Hand the events of `topics` to `handler`, as one member of `group`.

        Args:
            group: the consumer group, without the cluster's prefix.
            topics: the contract's names.
            handler: takes one event, or batches.
            producer: sends dead letters.

        Returns:
            The consumer, which runs and is measured from now on.

        """
        consumer = EventConsumer(
            self.kafka, group, topics, handler, producer, session_timeout_s=self.settings.kafka_session_timeout_s
        )
        self.task(f"consumer-{group}", consumer.run)
        self.periodic(Periodic(f"lag-{group}", consumer.measure, interval_s=LAG_EVERY_S, timeout_s=LAG_EVERY_S))
        self.ready_checks[f"consumer {group}"] = lambda: consumer.ready or "no partitions yet, or no progress"
        return consumer

    def periodic(self, work: Periodic) -> Periodic:
        """Run periodic work until the end, and show when it last succeeded: a gauge that it sets may be old."""

        def succeeded_at() -> float:
            return self.clock.now().timestamp() - (monotonic() - work.last_success)

        metrics.LAST_SUCCESS.labels(work.name).set_function(succeeded_at)
        metrics.LONGEST_GAP.labels(work.name).set(work.longest_gap_s)
        metrics.FAILURES.labels(work.name).set_function(lambda: work.failures)
        self.task(f"periodic-{work.name}", work.run)
        return work

    def task(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` for as long as the service lives; it is started again when it fails."""
        self._tasks.append(asyncio.create_task(tasks.supervise(name, work), name=name))

    async def serve(self, routes: Sequence[Routes], verifier: Verifier) -> Server:
        """Serve the API and the operators' paths. Call it last: readiness has the checks that exist by now."""
        return await self.serve_app(
            create_app(
                routes,
                authenticate=verifier.authenticate,
                title=self.name,
                version=self.version,
                ready_checks=self.ready_checks,
            )
        )

    async def serve_app(self, app: web.Application, *, most_per_peer: int | None = None) -> Server:
        """Serve an aiohttp application on the configured address, with a limit of connections per peer, if any.

        Raises:
            PermanentError: the port is taken.

        """
        return await self.listen(
            app,
            self.settings.http_host,
            self.settings.http_port,
            setting="WEVION_HTTP_PORT",
            most_per_peer=most_per_peer,
        )

    async def listen(
        self, app: web.Application, host: str, port: int, *, setting: str, most_per_peer: int | None = None
    ) -> Server:
        """Serve an aiohttp application until the service ends.

        Args:
            app: made by `create_app`.
            host: the address to listen on.
            port: 0 takes a free one.
            setting: what the port is called, for the error.
            most_per_peer: connections of one address at a time.

        Returns:
            Where it answers.

        Raises:
            PermanentError: the port is taken.

        """
        self._health.append(app[HEALTH])
        try:
            return await self._stack.enter_async_context(
                serve(app, host=host, port=port, shutdown_timeout_s=self.settings.drain_s, most_per_peer=most_per_peer)
            )
        except OSError as error:
            raise PermanentError(f"port {port} on {host} is taken; set {setting}") from error

    async def run(self) -> None:
        """Wait for SIGTERM (or Ctrl-C), then return, and the context closes everything.

        After the signal `/readyz` says no, and the service goes on for `lame_duck_s`: whoever routes requests here
        learns it by asking, and what comes before that must still be answered.
        """
        # What the start has made (modules, models, routes) lives as long as the process: no collection need look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
        with stop_signals() as stop:
            await stop.wait()
            _log.info("stopping", lame_duck_s=self.settings.lame_duck_s)
            for health in self._health:
                health.stopping.set()
            await asyncio.sleep(self.settings.lame_duck_s)


async def _watch_loop() -> None:
    """Measure how late the event loop is: everything in the process is at least that late."""
    while True:
        asked = monotonic()
        await asyncio.sleep(LOOP_PROBE_S)
        metrics.LOOP_LAG.set(max(monotonic() - asked - LOOP_PROBE_S, 0.0))


async def _close_pool(pool: Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def _database_check(pool: Pool, clock: Clock) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        theirs: datetime = await pool.fetchval("SELECT clock_timestamp()")
        # The answer was on its way for some milliseconds; a clock that matters is off by seconds.
        metrics.CLOCK_OFFSET.set((clock.now() - theirs).total_seconds())
        return True

    return check
