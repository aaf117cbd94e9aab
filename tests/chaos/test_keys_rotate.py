"""R7: signing keys rotate every few seconds under load: no verification fails, in no service.

The strictest verifier that the JWKS' headers allow looks on: it keeps a key set for its whole max-age and never asks in
between. (Data keys rotate under load in oauth-svc's own tests.)
"""

import asyncio
import time
from collections import Counter

import aiohttp
import jwt
import pytest

from devstack.backend import Backend
from devstack.browser import Browser, RefusedError
from devstack.chaos import Chaos, Samples
from devstack.record import some
from devstack.services import SERVICES
from devstack.stack import Stack
from devstack.storyteller import USER_PATHS

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROTATING_S = 6.0
PEOPLE = 3
#: So many keys have signed before it may end.
KEYS = 3
#: Between two clicks of a person; the command that rotates wants some of the machine too.
CLICK_S = 0.05
UNKNOWN_KEYS = "wevion_auth_unknown_keys_total"


async def test_no_verification_fails_while_keys_rotate(stack: Stack, chaos: Chaos) -> None:
    told = stack.told()
    load = Load(stack.addresses.url("session-svc") + "/.well-known/jwks.json")
    before = await unknown_keys(stack)
    async with aiohttp.ClientSession() as http:
        backend = Backend(http, told["service_client"], told["services"])
        lanes = [
            asyncio.create_task(load.lane(told["gateway_url"], told["users"][number % 2], backend))
            for number in range(PEOPLE)
        ]
        end = time.monotonic() + chaos.seconds(ROTATING_S)
        rotations = 0
        while time.monotonic() < end or len(load.kids) < KEYS:
            await rotate(stack)
            rotations += 1
            if rotations % 10 == 0:
                chaos.say(f"{rotations} rotations, {load.verified.total()} verifications, {len(load.kids)} keys used")
        load.stop = True
        await asyncio.gather(*lanes)
    chaos.say(f"{rotations} rotations, {load.verified.total()} verifications with {len(load.kids)} keys")
    assert not load.failures, some(load.failures)
    assert min(load.verified[service] for service in (*USER_PATHS, "strict")) > 0
    assert await unknown_keys(stack) == before, "a service met a key that it could not have"


async def rotate(stack: Stack) -> None:
    process = stack.process("session-svc")
    child = await asyncio.create_subprocess_exec(
        process.argv[0], "rotate-keys", "--json", env=process.env, stdout=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        assert await child.wait() == 0


async def unknown_keys(stack: Stack) -> float:
    return sum([(await Samples.of(stack, name)).total(UNKNOWN_KEYS) for name in SERVICES])


class Load:
    """People whose every JWT is fresh, and is shown to every service."""

    def __init__(self, jwks_url: str) -> None:
        self.stop = False
        self.kids: set[str] = set()
        self.verified: Counter[str] = Counter()
        self.failures: list[str] = []
        self._jwks_url = jwks_url
        self._kept: tuple[float, jwt.PyJWKSet] | None = None

    async def lane(self, gateway_url: str, user: dict[str, str], backend: Backend) -> None:
        async with Browser(gateway_url) as browser, aiohttp.ClientSession() as http:
            await browser.sign_in(user["email"], user["password"])
            while not self.stop:
                keys = await self._as_old_as_allowed(http)
                token = await browser.jwt()
                kid = jwt.get_unverified_header(token)["kid"]
                self.kids.add(kid)
                try:
                    jwt.decode(token, keys[kid], algorithms=["EdDSA"], audience="wevion")
                    self.verified["strict"] += 1
                except (KeyError, jwt.InvalidTokenError) as error:
                    self.failures.append(f"strict verifier: {error!r}")
                await asyncio.gather(*(self._show(backend, service, token) for service in USER_PATHS))
                await asyncio.sleep(CLICK_S)

    async def _show(self, backend: Backend, service: str, token: str) -> None:
        try:
            await backend.call("GET", service, USER_PATHS[service], jwt=token)
            self.verified[service] += 1
        except RefusedError as refused:
            self.failures.append(str(refused))

    async def _as_old_as_allowed(self, http: aiohttp.ClientSession) -> jwt.PyJWKSet:
        now = time.monotonic()
        if self._kept is None or now > self._kept[0]:
            async with http.get(self._jwks_url) as answer:
                max_age_s = int(answer.headers["Cache-Control"].partition("max-age=")[2])
                self._kept = (now + max_age_s, jwt.PyJWKSet.from_dict(await answer.json(content_type=None)))
        return self._kept[1]
