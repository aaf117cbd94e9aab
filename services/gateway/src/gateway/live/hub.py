"""Live updates: one Kafka reader per process, any number of browsers, as server-sent events.

An update is a hint: it says what changed, and the page reads the truth over the API. A browser that comes back names
the last event it saw; what it missed is sent again, or it is told to read everything (`event: resync`).
"""

import asyncio
import json
from collections import deque
from uuid import UUID

from aiohttp import web

from common.contracts import TOPICS, InvalidEventError, decode
from common.kafka import KafkaSettings, TopicReader
from common.runtime.clock import Clock
from common.telemetry.logs import get_logger
from common.web import Problem, Routes
from gateway import metrics
from gateway.core.live import LiveEvent, Recent, Viewer, rendered
from gateway.core.routing import Guard, PrefixRule
from gateway.proxy import Entrance, Exchange, Exchanged

KEPT_EVENTS = 5_000
MOST_WAITING = 500
"""Events that wait for one slow browser; more, and it is told to read everything instead."""
STREAMS_PER_SESSION = 20
HEARTBEAT_S = 15.0
"""Below the idle time-out of common proxies (30 to 60 s). Each heartbeat also verifies the session again."""
RECONNECT_MS = 2_000

_RULE = PrefixRule("/api/v1/events", "gateway", Guard.JWT)

_RESYNC = b"event: resync\ndata: {}\n\n"
_HEARTBEAT = b": heartbeat\n\n"

_log = get_logger(__name__)


class _Subscriber:
    """One browser that follows."""

    __slots__ = ("overflowed", "queue", "session_id", "viewer", "wake")

    def __init__(self, viewer: Viewer, session_id: UUID | None) -> None:
        self.viewer = viewer
        self.session_id = session_id
        self.queue: deque[LiveEvent] = deque()
        self.wake = asyncio.Event()
        self.overflowed = False

    def offer(self, event: LiveEvent) -> None:
        if len(self.queue) >= MOST_WAITING:
            self.queue.clear()
            self.overflowed = True
        else:
            self.queue.append(event)
        self.wake.set()


class LiveHub:
    """Reads every topic that the live view shows, and gives each browser what it may see."""

    def __init__(
        self, kafka: KafkaSettings, exchange: Exchange, clock: Clock, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._reader = TopicReader(kafka, *TOPICS, start="latest")
        self._exchange = exchange
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._recent = Recent(KEPT_EVENTS)
        self._subscribers: set[_Subscriber] = set()
        self._stopping = asyncio.Event()
        metrics.LIVE_STREAMS.set_function(lambda: len(self._subscribers))

    async def ready(self) -> str | None:
        """Why the live view does not follow, if it does not."""
        return None if self._reader.caught_up.is_set() else "the live updates do not follow Kafka yet"

    async def run(self) -> None:
        """Follow the topics for ever."""
        caught_up = asyncio.create_task(self._note_start(), name="live-start")
        try:
            async for record in self._reader:
                if record.value is None:
                    continue
                try:
                    event = rendered(decode(record.value, record.headers))
                except Exception as error:  # noqa: BLE001  whatever is wrong with one record, the next ones are shown
                    metrics.LIVE_EVENTS.labels("unreadable").inc()
                    why = str(error) if isinstance(error, InvalidEventError) else type(error).__name__
                    _log.warning("live_event_unreadable", topic=record.topic, offset=record.offset, why=why)
                    continue
                self.publish(event)
        finally:
            caught_up.cancel()

    def publish(self, event: LiveEvent) -> None:
        """Give an event to whoever may see it."""
        self._recent.add(event)
        if event.changed_session is not None:
            self._exchange.forget_session(event.changed_session)
        for subscriber in self._subscribers:
            if event.visible_to(subscriber.viewer):
                subscriber.offer(event)
        metrics.LIVE_EVENTS.labels("published").inc()

    def stop(self) -> None:
        """Let every stream end, so that browsers go to another process."""
        self._stopping.set()
        for subscriber in self._subscribers:
            subscriber.wake.set()

    def routes(self, entrance: Entrance) -> Routes:
        """Return the endpoint."""
        r = Routes("live")

        async def events(request: web.Request) -> web.StreamResponse:
            with entrance.admit(request, _RULE) as address:
                return await self.stream(request, entrance.cookie(request), address)

        r.raw("GET", _RULE.prefix, events, head=False)
        return r

    async def stream(self, request: web.Request, cookie: str | None, address: str) -> web.StreamResponse:
        """Follow until the browser leaves or its session ends.

        Raises:
            Problem: 401 without a session, 429 with too many streams.

        """
        exchanged = await self._exchange.jwt_for(cookie, address)
        subscriber = self._subscribe(exchanged)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        try:
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % RECONNECT_MS)
            await self._replay(request, response, subscriber)
            await self._follow(response, subscriber, cookie, address)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the browser left
        finally:
            self._subscribers.discard(subscriber)
        return response

    def _subscribe(self, exchanged: Exchanged) -> _Subscriber:
        principal = exchanged.principal
        mine = sum(one.session_id == principal.session_id for one in self._subscribers)
        if mine >= STREAMS_PER_SESSION:
            raise Problem(
                429,
                "too_many_streams",
                detail=f"this session follows the live updates {STREAMS_PER_SESSION} times already",
                fix="Close some of the tabs.",
                headers={"Retry-After": "10"},
            )
        subscriber = _Subscriber(Viewer(principal.user_id, principal.workspace_id), principal.session_id)
        self._subscribers.add(subscriber)
        return subscriber

    async def _replay(self, request: web.Request, response: web.StreamResponse, subscriber: _Subscriber) -> None:
        last_id = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
        if not last_id:
            return
        missed = self._recent.since(last_id)
        if missed is None:
            await response.write(_RESYNC)
            return
        waiting = {event.event_id for event in subscriber.queue}
        for event in missed:
            if event.event_id not in waiting and event.visible_to(subscriber.viewer):
                await response.write(event.wire)

    async def _follow(
        self, response: web.StreamResponse, subscriber: _Subscriber, cookie: str | None, address: str
    ) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await subscriber.wake.wait()
            except TimeoutError:
                await response.write(_HEARTBEAT)
                if not await self._still_there(response, subscriber, cookie, address):
                    return
                continue
            subscriber.wake.clear()
            if subscriber.overflowed:
                subscriber.overflowed = False
                await response.write(_RESYNC)
            check = False
            while subscriber.queue:
                event = subscriber.queue.popleft()
                check = check or (event.changed_session is not None and event.changed_session == subscriber.session_id)
                await response.write(event.wire)
            if check and not await self._still_there(response, subscriber, cookie, address):
                return

    async def _still_there(
        self, response: web.StreamResponse, subscriber: _Subscriber, cookie: str | None, address: str
    ) -> bool:
        """Return whether the session lives and is still in the same workspace. If not, the browser is told why."""
        try:
            exchanged = await self._exchange.jwt_for(cookie, address)
        except Problem as problem:
            if problem.status != 401:  # noqa: PLR2004  session-svc is away: the stream goes on, the next beat asks again
                return True
            said = json.dumps(problem.document(), default=str).encode()
            await response.write(b"event: session.ended\ndata: %s\n\n" % said)
            return False
        principal = exchanged.principal
        same = principal.session_id == subscriber.session_id
        return same and principal.workspace_id == subscriber.viewer.workspace_id

    async def _note_start(self) -> None:
        await self._reader.caught_up.wait()
        self._recent.begin(self._clock.now())
