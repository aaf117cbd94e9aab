"""How the gateway is put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from common.runtime.clock import Clock
from common.service import Service
from common.web import HEALTH, create_app
from gateway import console
from gateway.core.headers import security_headers
from gateway.live import LiveHub
from gateway.proxy import Entrance, Exchange, Gateway, Upstreams
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
        entrance = Entrance(
            origin=settings.origin,
            further_origins=settings.further_origins(),
            trusted_hops=settings.trusted_hops,
            most_per_address=settings.most_per_address,
            secure=settings.https,
        )
        door = Gateway(
            entrance=entrance, upstreams=upstreams, exchange=exchange, max_body_bytes=settings.max_body_bytes
        )
        svc.task("live-updates", hub.run)

        async def follows() -> bool:
            return await hub.ready() is None

        svc.ready_checks["live updates"] = follows
        public = create_app(
            [hub.routes(entrance), door.routes(), console.console_routes()],
            authenticate=verifier.authenticate,
            title=NAME,
            version=svc.version,
            max_body_bytes=settings.max_body_bytes,
            operators=False,
        )
        security = security_headers(https=settings.https)

        async def end_streams(_: web.Application) -> None:
            hub.stop()

        async def harden(_: web.Request, response: web.StreamResponse) -> None:
            for name, value in security.items():
                response.headers.setdefault(name, value)
            response.headers["Server"] = "wevion"
            if public[HEALTH].stopping.is_set():
                response.force_close()
                response.headers["Connection"] = "close"

        public.middlewares.insert(0, console.problem_pages())
        public.on_shutdown.append(end_streams)
        public.on_response_prepare.append(harden)
        operators = create_app([], title=NAME, version=svc.version, ready_checks=svc.ready_checks)
        await svc.listen(operators, settings.operators_host, settings.operators_port, setting="WEVION_OPERATORS_PORT")
        # Behind a proxy every connection is the proxy's: then only requests are counted, by the address that it names.
        await svc.serve_app(public, most_per_peer=None if settings.trusted_hops else settings.most_per_address)
        await svc.run()


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
