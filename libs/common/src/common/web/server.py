"""Listening, and stopping without cutting anybody off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler

from common.telemetry.logs import get_logger
from common.web.app import HEALTH
from common.web.metrics import UNREADABLE_REQUESTS
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


class _Connection(RequestHandler):
    """A connection whose unreadable requests get a problem document, and are counted rather than logged at length.

    Whoever opens it must send a whole head soon: connections that say nothing, or a byte a minute, are closed.
    """

    __slots__ = ("_head_timer",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._close_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_timer.cancel()
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

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Listener  # aiohttp has no setting for the connection's class
        return server


@asynccontextmanager
async def serve(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0, shutdown_timeout_s: float = SHUTDOWN_TIMEOUT_S
) -> AsyncIterator[Server]:
    """Serve until the block ends; then: not ready, no new connections, the running requests finish, close.

    Port 0 takes a free one. Raises OSError when the port is taken.
    """
    runner = _Runner(app, handle_signals=False, shutdown_timeout=shutdown_timeout_s)
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
