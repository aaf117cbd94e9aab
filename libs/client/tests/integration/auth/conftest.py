"""An issuer on a free port: its key set and its token endpoint, which can be made to fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER = UUID("019ab000-0000-7000-8000-000000000001")
SESSION = UUID("019ab000-0000-7000-8000-000000000002")


@dataclass
class IssuerSite:
    """What a test turns knobs on."""

    keys: dict[str, Ed25519PrivateKey] = field(default_factory=lambda: {"k1": Ed25519PrivateKey.generate()})
    url: str = ""
    cache_control: str = "max-age=300"
    fetches: int = 0
    broken: str = ""
    hold: asyncio.Event | None = None
    token_answer: tuple[int, Any] = (200, {"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"})
    token_requests: list[tuple[dict[str, str], str]] = field(default_factory=list)

    async def jwks(self, _: web.Request) -> web.StreamResponse:
        self.fetches += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.broken == "status":
            raise web.HTTPServiceUnavailable
        if self.broken == "redirect":
            raise web.HTTPFound("http://127.0.0.1:1/elsewhere")
        if self.broken == "html":
            return web.Response(text="<html>", content_type="text/html")
        if self.broken == "huge":
            return web.Response(text=" " * 100_000)
        keys = [
            json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "use": "sig", "alg": "EdDSA"}
            for kid, key in self.keys.items()
        ]
        return web.json_response({"keys": keys}, headers={"Cache-Control": self.cache_control})

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.token_requests.append(
            ({name: str(value) for name, value in form.items()}, request.headers.get("Authorization", ""))
        )
        if self.hold is not None:
            await self.hold.wait()
        status, body = self.token_answer
        return (
            web.json_response(body, status=status)
            if not isinstance(body, str)
            else web.Response(text=body, status=status)
        )

    def sign(self, kid: str = "k1", **changes: Any) -> str:
        now = int(asyncio.get_running_loop().time())
        claims = {
            "iss": "http://issuer.test",
            "aud": "wevion",
            "sub": str(USER),
            "sid": str(SESSION),
            "jti": "j",
            "epoch": 0,
        }
        return jwt.encode(claims | {"now": now} | changes, self.keys[kid], algorithm="EdDSA", headers={"kid": kid})


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerSite]:
    site = IssuerSite()
    app = web.Application()
    app.router.add_get("/jwks", site.jwks)
    app.router.add_post("/token", site.token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    if site.hold is not None:
        site.hold.set()
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
