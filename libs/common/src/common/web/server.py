"""Listening, and stopping without cutting anybody off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from common.telemetry import logs
from common.web.app import HEALTH

SHUTDOWN_TIMEOUT_S = 10.0

_log = logs.get_logger("http")


@dataclass(frozen=True, slots=True)
class Server:
    """A listening server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def serve(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0, shutdown_timeout_s: float = SHUTDOWN_TIMEOUT_S
) -> AsyncIterator[Server]:
    """Serve until the block ends; then: not ready, no new connections, the running requests finish, close.

    Port 0 takes a free one. Raises OSError when the port is taken.
    """
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=shutdown_timeout_s)
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
