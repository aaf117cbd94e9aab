"""A backend service that knows who calls it, with no call to session-svc per request.

Run it with `python verify_service.py ISSUER JWKS_URL KAFKA`, then ask `GET /whoami` with a user's JWT. `/readyz` says
no until every revocation that is on record is in force here.
"""  # noqa: INP001  a program, not a package

import asyncio
import sys

import aiohttp
from pydantic import BaseModel

from common.auth import JwksCache, RevocationFeed, RevocationSet, Verifier
from common.kafka import KafkaSettings
from common.runtime.lifecycle import stop_signals
from common.web import Access, Principal, Routes, create_app, serve

routes = Routes("example")


class Caller(BaseModel):
    user: str
    role: str | None


@routes.get("/whoami", access=Access.user(), summary="Who calls")
async def whoami(principal: Principal) -> Caller:
    return Caller(user=principal.subject, role=principal.role)


async def main(issuer: str, jwks_url: str, kafka: str, topic_prefix: str = "", port: str = "8090") -> None:
    revocations = RevocationSet()
    settings = KafkaSettings(bootstrap_servers=kafka, client_id="example", topic_prefix=topic_prefix)
    async with aiohttp.ClientSession() as http:
        keys = JwksCache(http, jwks_url)
        feed = RevocationFeed(settings, revocations, keys)
        following = asyncio.create_task(feed.run())
        verifier = Verifier(keys, revocations, issuer, audience="wevion")
        ready = {"revocations": feed.ready}
        app = create_app(routes, authenticate=verifier.authenticate, title="example", version="1", ready_checks=ready)
        with stop_signals() as stop:
            async with serve(app, port=int(port)):
                await stop.wait()
        following.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
