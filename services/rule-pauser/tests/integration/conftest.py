"""The API with real tokens, as other processes would call it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth import RevocationSet, Verifier
from common.auth.keys import FixedKeys
from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from common.web import create_app, serve
from rule_pauser.http import person_routes, rule_routes, settings_routes

ISSUER, AUDIENCE, KEY_ID = "http://issuer.test", "wevion", "k1"


@dataclass(frozen=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: Any


class Api:
    """Calls the API as a person or a service."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: Ed25519PrivateKey) -> None:
        self._http, self._url, self._key = http, url, key

    def person(self, workspace_id: UUID, role: str = "owner", **claims: Any) -> str:
        """The JWT of a signed-in person."""
        return self._sign(
            {"sub": str(new_id()), "sid": str(new_id()), "wid": str(workspace_id), "role": role, "epoch": 0} | claims
        )

    def service(self, scope: str = "rules:write") -> str:
        """The JWT of a service client."""
        return self._sign({"sub": "automation", "client_id": "automation", "scope": scope})

    def _sign(self, claims: dict[str, Any]) -> str:
        now = datetime.now(UTC)
        whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + timedelta(minutes=5), "jti": str(new_id())}
        return jwt.encode(whole | claims, self._key, algorithm="EdDSA", headers={"kid": KEY_ID})

    async def call(self, method: str, path: str, token: str | None, json: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.request(method, self._url + path, headers=headers, json=json) as answer:
            return Answer(answer.status, await answer.json(content_type=None) if answer.status != 204 else None)


@pytest.fixture
async def api(house: Any) -> AsyncIterator[Api]:
    key = Ed25519PrivateKey.generate()
    verifier = Verifier(FixedKeys({KEY_ID: key.public_key()}), RevocationSet(), ISSUER, AUDIENCE)
    routes = [build(house.deps, SystemClock()) for build in (settings_routes, rule_routes, person_routes)]
    app = create_app(routes, authenticate=verifier.authenticate, title="rule-pauser", version="0")
    async with aiohttp.ClientSession() as http, serve(app) as server:
        yield Api(http, server.url, key)
