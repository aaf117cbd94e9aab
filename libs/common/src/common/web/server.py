"""Listening, and stopping without cutting anybody off."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler

from common import edge
from common.telemetry.logs import get_logger
from common.web.app import HEALTH
from common.web.metrics import REFUSED_CONNECTIONS, UNREADABLE_REQUESTS
from common.web.problems import Problem
from common.web.responses import secured

SHUTDOWN_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 10.0
"""From the connection to its first whole head; longer only helps those who want to use up our connections."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A listening server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Return where it answers, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class Crowd:
    """How many connections each address has.

    Args:
        most: as many may one address have; None: any number.

    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._inside: Counter[str] = Counter()

    def enter(self, peer: tuple[Any, ...] | None) -> str | None:
        """Return the key under which a new connection is counted; None if there are too many of the address."""
        key = edge.limit_key(str(peer[0])) if peer else ""
        if self._most is not None and self._inside[key] >= self._most:
            return None
        self._inside[key] += 1
        return key

    def leave(self, key: str) -> None:
        """Note that a connection of this key has ended."""
        self._inside[key] -= 1
        if not self._inside[key]:
            del self._inside[key]


class _Connection(RequestHandler):
    """A connection whose unreadable requests get a problem document, and are counted rather than logged at length.

    Whoever opens it must send a whole head soon: connections that say nothing, or a byte a minute, are closed.
    """

    __slots__ = ("_crowd", "_head_timer", "_peer")

    def __init__(self, manager: "_Listener", **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._crowd = manager.crowd
        self._peer: str | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer = self._crowd.enter(transport.get_extra_info("peername"))
        if self._peer is None:
            REFUSED_CONNECTIONS.inc()
            self.force_close()
            return
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._close_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        if self._peer is not None:
            self._crowd.leave(self._peer)
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, BadHttpMessage):
            return super().handle_error(request, status, exc, message)
        UNREADABLE_REQUESTS.inc()
        problem = Problem(status, "malformed_request", "This is not a request that HTTP allows")
        if isinstance(exc, LineTooLong) or "many headers" in str(message).lower():
            problem = Problem(431, "request_header_too_large", "The head of the request is too large")
        response = problem.response()
        response.force_close()
        return secured(response)


class _Listener(web.Server):
    """Makes our connections."""

    crowd: Crowd

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    crowd = Crowd(None)

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Listener  # aiohttp has no setting for the connection's class
        server.crowd = self.crowd  # type: ignore[attr-defined]
        return server


@asynccontextmanager
async def serve(
    app: web.Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    shutdown_timeout_s: float = SHUTDOWN_TIMEOUT_S,
    most_per_peer: int | None = None,
) -> AsyncIterator[Server]:
    """Serve until the block ends; then: not ready, no new connections, the running requests finish, close.

    Args:
        app: made by `create_app`.
        host: the address to listen on.
        port: 0 takes a free one.
        shutdown_timeout_s: how long running requests may take at the end.
        most_per_peer: connections of one address at a time; more are closed at once. None: any number.

    Yields:
        Where it answers.

    Raises:
        OSError: the port is taken.

    """
    runner = _Runner(app, handle_signals=False, shutdown_timeout=shutdown_timeout_s)
    runner.crowd = Crowd(most_per_peer)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        _log.info("http_listening", host=bound_host, port=bound_port)
        yield Server(bound_host, bound_port)
    finally:
        if HEALTH in app:
            app[HEALTH].stopping.set()
        await runner.cleanup()
