"""A backend service that verifies JWTs with `common.auth`, and tells when it first refused one.

`POST /watch` with a JWT as the body answers, as soon as the JWT is refused, with the time of the refusal on the
machine's monotonic clock, which all processes share.
"""

import argparse
import asyncio

import aiohttp
from aiohttp import web

from common.auth import JwksCache, RevocationFeed, RevocationSet, Verifier
from common.kafka import KafkaSettings
from common.runtime.clock import SystemClock, monotonic
from common.web import Problem

LOOK_EVERY_S = 0.0005
WATCH_FOR_S = 10.0


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until killed."""
    clock = SystemClock()
    revoked = RevocationSet()
    settings = KafkaSettings(
        bootstrap_servers=arguments.kafka, client_id="bench-verifier", topic_prefix=arguments.topic_prefix
    )
    async with aiohttp.ClientSession() as http:
        keys = JwksCache(http, arguments.jwks_url)
        feed = RevocationFeed(settings, revoked, keys, clock=clock)
        following = asyncio.create_task(feed.run())
        verifier = Verifier(keys, revoked, issuer=arguments.issuer, audience="wevion")

        async def watch(request: web.Request) -> web.Response:
            token = (await request.read()).decode()
            deadline = monotonic() + WATCH_FOR_S
            while monotonic() < deadline:
                try:
                    await verifier.verify(token, clock.now())
                except Problem as problem:
                    return web.json_response({"refused_at": monotonic(), "code": problem.code})
                await asyncio.sleep(LOOK_EVERY_S)
            return web.json_response({"refused_at": None})

        async def ready(_request: web.Request) -> web.Response:
            return web.Response(status=200 if feed.ready() is None else 503)

        app = web.Application()
        app.router.add_post("/watch", watch)
        app.router.add_get("/readyz", ready)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
        await following


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--kafka", "--topic-prefix", "--jwks-url", "--issuer"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args()))
