"""How the gateway is put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common import edge
from common.runtime.clock import Clock
from common.service import Service
from common.web import Problem, create_app
from gateway import console
from gateway.core.headers import security_headers
from gateway.live import LiveHub
from gateway.proxy import Exchange, Gateway, Upstreams
from gateway.settings import GatewaySettings

NAME = "gateway"


async def run(settings: GatewaySettings, clock: Clock | None = None) -> None:
    """The public origin, until SIGTERM."""
    async with Service(settings, name=NAME) as svc, upstream_client() as client:
        svc.clock = clock or svc.clock
        verifier = await svc.verifier()
        upstreams = Upstreams(client, settings.upstreams(), first_byte_s=settings.upstream_timeout_s)
        exchange = Exchange(upstreams, verifier, svc.clock)
        hub = LiveHub(svc.kafka, exchange, svc.clock, heartbeat_s=settings.heartbeat_s)
        door = Gateway(
            upstreams=upstreams,
            exchange=exchange,
            allowed_origins=settings.origins(),
            trusted=edge.networks(settings.trusted_proxies.split(",")),
            security=security_headers(https=settings.https),
            max_body_bytes=settings.max_body_bytes,
        )
        svc.task("live-updates", hub.run)

        async def follows() -> bool:
            return await hub.ready() is None

        svc.ready_checks["live updates"] = follows
        app = create_app(
            [hub.routes(door.client_address), door.routes(), console.console_routes()],
            authenticate=verifier.authenticate,
            title=NAME,
            version=svc.version,
            ready_checks=svc.ready_checks,
            max_body_bytes=settings.max_body_bytes,
        )

        async def end_streams(_: web.Application) -> None:
            hub.stop()

        async def harden(_: web.Request, response: web.StreamResponse) -> None:
            for name, value in door.security.items():
                response.headers.setdefault(name, value)
            response.headers["Server"] = "wevion"

        app.middlewares.append(operators_only(door, edge.networks(settings.operator_networks.split(","))))
        app.middlewares.insert(0, console.problem_pages())
        app.on_shutdown.append(end_streams)
        app.on_response_prepare.append(harden)
        await svc.serve_app(app)
        await svc.run()


def operators_only(door: Gateway, allowed: Sequence[edge.Network]) -> Middleware:
    """Return what the gateway says of itself is for operators; a stranger finds nothing there."""
    paths = frozenset({"/metrics", "/readyz", "/openapi.json"})

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in paths and not edge.within(door.client_address(request), allowed):
            return Problem(404, "not_found", "There is nothing here").response()
        return await handler(request)

    return check


@asynccontextmanager
async def upstream_client() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the client of the proxy: it passes on what it gets, keeps no cookies, and limits no number of connections.

    Keep-alive is shorter than the services' own (75 s), so that no request meets a door that is just closing.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as client:
        yield client
