"""A service's API on loopback, called over real HTTP with real JWTs, as people and other services call it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth import RevocationSet, Verifier
from common.runtime.ids import new_id
from common.web import Routes, create_app, serve
from wevion_tokens.auth.keys import FixedKeys

ISSUER, AUDIENCE, KEY_ID = "http://issuer.test", "wevion", "k1"
LIFETIME = timedelta(hours=1)
NO_CONTENT = 204


@dataclass(frozen=True, slots=True, repr=False)
class Issuer:
    """Signs what session-svc signs in a running stack; its `verifier` believes it and nobody else."""

    _key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def verifier(self) -> Verifier:
        """For `create_app`."""
        return Verifier(FixedKeys({KEY_ID: self._key.public_key()}), RevocationSet(complete=True), ISSUER, AUDIENCE)

    def person(self, workspace_id: UUID, role: str = "owner", **claims: Any) -> str:
        """Return the JWT of a signed-in person."""
        mine = {"sub": str(new_id()), "sid": str(new_id()), "wid": str(workspace_id), "role": role, "epoch": 0}
        return self._sign(mine | claims)

    def service(self, scope: str, client_id: str = "sync") -> str:
        """Return the JWT of a service client."""
        return self._sign({"sub": client_id, "client_id": client_id, "scope": scope})

    def _sign(self, claims: dict[str, Any]) -> str:
        now = datetime.now(UTC)
        whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME, "jti": str(new_id())}
        return jwt.encode(whole | claims, self._key, algorithm="EdDSA", headers={"kid": KEY_ID})


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Api:
    """Calls one service; made by `served`."""

    http: aiohttp.ClientSession
    url: str
    issuer: Issuer

    def person(self, workspace_id: UUID, role: str = "owner", **claims: Any) -> str:
        """Return the JWT of a signed-in person."""
        return self.issuer.person(workspace_id, role, **claims)

    def service(self, scope: str, client_id: str = "sync") -> str:
        """Return the JWT of a service client."""
        return self.issuer.service(scope, client_id)

    async def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return one request; without a token, a stranger's.

        Args:
            method: the HTTP method.
            path: path and query.
            token: the caller's JWT; None for a stranger.
            json: the body, as JSON.
            headers: further headers; None for none.

        """
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.http.request(method, self.url + path, headers=sent, json=json) as answer:
            return Answer(answer.status, None if answer.status == NO_CONTENT else await answer.json(content_type=None))


@asynccontextmanager
async def served(routes: Iterable[Routes], *, title: str) -> AsyncIterator[Api]:
    """Yield these routes as the service itself mounts them."""
    issuer = Issuer()
    app = create_app(list(routes), authenticate=issuer.verifier().authenticate, title=title, version="0")
    async with aiohttp.ClientSession() as http, serve(app) as server:
        yield Api(http, server.url, issuer)
