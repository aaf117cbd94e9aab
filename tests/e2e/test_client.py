"""The package for backend services, against the whole stack: tokens, refusals, callers, events, the command."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.testing import eventually
from devstack.browser import Browser, RefusedError
from devstack.child_stack import ChildStack
from devstack.platforms import Platforms
from wevion_tokens import (
    AccountToken,
    ClientNotAllowedError,
    ConnectionEndedError,
    NoSuchAccountError,
    NotYetError,
    PlatformRefusedError,
    TokensClient,
    TokensProfile,
    UnavailableError,
)
from wevion_tokens.auth import Access
from wevion_tokens.callers import LiveVerifier, Principal, Problem, VerifierMiddleware, check
from wevion_tokens.contracts import TokenStatus
from wevion_tokens.events import TokenStates
from wevion_tokens.telemetry import metrics
from wevion_tokens.tokens.blocking import BlockingTokensClient

pytestmark = pytest.mark.timeout(600)

PROVIDER, PERSON = "google-ads", "jordan"
NOT_ENABLED = {
    "error": {
        "code": 403,
        "status": "PERMISSION_DENIED",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}],
    }
}
"""The app's project may not call the API: nothing about any token."""


@dataclass
class Grant:
    """A connection of this test's own."""

    connection_id: str
    account_id: str
    owner: Browser
    platforms: Platforms

    async def revoke(self) -> None:
        """The person removes Wevion at the platform, and the next refresh finds it."""
        await self.platforms.revoke(PROVIDER, PERSON)
        with suppress(RefusedError):  # the platform's own signal was faster
            await self.owner.post(f"/api/v1/connections/{self.connection_id}/refresh")


@pytest.fixture
def profile(stack: ChildStack) -> TokensProfile:
    return TokensProfile.from_file(stack.folder / "profiles.toml", "local")


@pytest.fixture
async def owner(stack: ChildStack) -> AsyncIterator[Browser]:
    user = next(each for each in stack.demo["users"] if each["role"] == "owner")
    async with Browser(stack.demo["gateway_url"]) as browser:
        await browser.sign_in(user["email"], user["password"])
        yield browser


@pytest.fixture
async def grant(stack: ChildStack, owner: Browser) -> AsyncIterator[Grant]:
    import aiohttp  # noqa: PLC0415

    back = await owner.consent(PROVIDER, PERSON)
    connection = back.query["connection_id"]
    shown = await owner.get(f"/api/v1/connections/{connection}")
    async with aiohttp.ClientSession() as http:
        platforms = Platforms(http, stack.demo["simulator_control_url"])
        yield Grant(connection, shown["accounts"][0]["account_id"], owner, platforms)


@pytest.fixture
async def client(profile: TokensProfile) -> AsyncIterator[TokensClient]:
    async with TokensClient(profile) as made:
        await eventually(made.follows_changes, 30, what="the client follows changes")
        yield made


def fetched() -> float:
    return metrics.value("wevion_client_access_tokens_total", {"outcome": "served"})


async def test_a_token_is_fetched_once_for_many_and_given_out_again(client: TokensClient, grant: Grant) -> None:
    before = fetched()
    found = await asyncio.gather(*(client.token(grant.account_id) for _ in range(200)))
    async with client.access_token(grant.account_id) as again:
        assert {id(each) for each in (*found, again)} == {id(again)}
    assert fetched() == before + 1
    assert again.provider == PROVIDER
    assert again.headers["Authorization"] == f"Bearer {again.access_token}"
    assert again.expires_at is not None
    left = again.expires_at - datetime.now(UTC)
    longer = await client.token(grant.account_id, min_ttl=min(left - timedelta(seconds=60), timedelta(hours=1)))
    assert longer is again, "it lasts long enough"


async def test_a_revocation_reaches_the_cache_and_says_what_to_do(client: TokensClient, grant: Grant) -> None:
    await client.token(grant.account_id)
    await grant.revoke()
    await eventually(lambda: client.cached(grant.account_id, 0) is None, 20, what="the cached token is dropped")

    async def ended() -> ConnectionEndedError:
        with pytest.raises(ConnectionEndedError) as refused:
            await client.token(grant.account_id)
        return refused.value

    said = await eventually(ended, 20, what="the connection has ended")
    assert said.token_id == grant.connection_id
    assert said.fix_url.endswith(f"connection_id={grant.connection_id}")
    assert "Re-authorise" in said.fix
    assert said.since is not None
    await grant.owner.consent(PROVIDER, PERSON, connection_id=grant.connection_id)

    async def lives() -> AccountToken | None:
        try:
            return await client.token(grant.account_id)
        except ConnectionEndedError:
            return None

    assert await eventually(lives, 20, what="somebody clicked, and it goes on")


async def test_refusals_of_a_platform_are_judged(client: TokensClient, grant: Grant) -> None:
    sent: list[str] = []

    def refusing(status: int, body: Any, headers: dict[str, str] | None = None, times: int = 99) -> Any:
        async def send(token: AccountToken) -> str:
            sent.append(token.access_token)
            if len(sent) <= times:
                raise PlatformRefusedError(status, json.dumps(body), headers)
            return "done"

        sent.clear()
        return send

    with pytest.raises(NotYetError) as slow:
        await client.call(grant.account_id, refusing(429, {"error": {}}, {"Retry-After": "17"}))
    assert (slow.value.retry_after, len(sent)) == (17, 1)
    with pytest.raises(PlatformRefusedError) as wrong:
        await client.call(grant.account_id, refusing(403, NOT_ENABLED))
    assert (wrong.value.classification, bool(wrong.value.advice)) == ("our_bug", True)
    assert len(sent) == 1

    unauthenticated = {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "x"}}
    with pytest.raises(NotYetError):  # the grant lives, and there is no other token yet: its probe decides
        await client.call(grant.account_id, refusing(401, unauthenticated))
    assert len(sent) == 1
    with pytest.raises(NotYetError):
        async with client.access_token(grant.account_id):
            raise PlatformRefusedError(401, json.dumps(unauthenticated))

    old = await client.token(grant.account_id)
    await grant.owner.post(f"/api/v1/connections/{grant.connection_id}/refresh")

    async def replaced() -> bool:
        return (await client.token(grant.account_id)).access_token != old.access_token

    await eventually(replaced, 20, what="a refresh drops the cached token")
    client._cache.put(old, 0.0, None)  # as if the news had not come yet
    assert await client.call(grant.account_id, refusing(401, unauthenticated, times=1)) == "done"
    assert sent[0] == old.access_token != sent[1]


async def test_who_may_not_and_what_is_not_there(profile: TokensProfile, client: TokensClient) -> None:
    with pytest.raises(NoSuchAccountError):
        await client.token("019ab000-0000-7000-8000-00000000dead")
    wrong = profile.model_copy(update={"service_client_id": "nobody"})
    async with TokensClient(wrong, follow=False) as stranger:
        with pytest.raises(ClientNotAllowedError):
            await stranger.token("019ab000-0000-7000-8000-00000000dead")
    away = profile.model_copy(update={"oauth_url": "http://127.0.0.1:9"})
    async with TokensClient(away, follow=False) as lost:
        with pytest.raises(UnavailableError):
            await lost.token("019ab000-0000-7000-8000-00000000dead")


def test_the_blocking_face_is_the_same_client(profile: TokensProfile, grant: Grant) -> None:
    sent: list[str] = []

    def send(token: AccountToken) -> str:
        sent.append(token.access_token)
        if len(sent) == 1:
            raise PlatformRefusedError(429, "{}", {"retry-after": "3"})
        return token.provider

    with BlockingTokensClient(profile) as client:
        with pytest.raises(NotYetError) as slow:
            client.call(grant.account_id, send)
        assert slow.value.retry_after == 3
        assert client.call(grant.account_id, send) == PROVIDER
        with client.access_token(grant.account_id) as token:
            assert token.access_token == sent[-1]


async def call(app: VerifierMiddleware, token: str | None, path: str = "/") -> tuple[int, Any]:
    """One request, as an ASGI server makes it."""
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, receive, send)
    return said[0]["status"], json.loads(said[1]["body"])


async def test_callers_are_verified_until_they_sign_out(
    stack: ChildStack, profile: TokensProfile, owner: Browser
) -> None:
    async def application(scope: Any, _receive: Any, send: Any) -> None:
        caller: Principal = scope["state"]["principal"]
        if scope["path"] == "/admins":
            check(caller, Access.user(frozenset({"admin"})))
        body = json.dumps({"user": caller.subject, "role": caller.role}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with LiveVerifier(profile) as verifier:
        app = VerifierMiddleware(application, verifier)
        await eventually(lambda: verifier.ready() is None, 30, what="the verifier has caught up")
        user = next(each for each in stack.demo["users"] if each["role"] == "owner")
        jwt = await owner.jwt()
        assert await call(app, jwt) == (200, {"user": user["user_id"], "role": "owner"})
        assert (await call(app, None))[1]["code"] == "token_missing"
        assert (await call(app, jwt, "/admins"))[1]["code"] == "forbidden_role"
        await owner.post("/api/v1/auth/sign-out")

        async def refused() -> Any:
            status, said = await call(app, jwt)
            return said if status == 401 else None

        said = await eventually(refused, 20, what="the signed-out session is refused")
        assert (said["code"], said["cause"]) == ("session_revoked", "signed_out")
        with pytest.raises(Problem):
            await verifier.verify("not a token")


async def test_everything_is_known_and_then_followed(profile: TokensProfile, grant: Grant) -> None:
    async with TokenStates(profile.kafka(), keep=lambda state: state.token.provider == PROVIDER) as known:
        await asyncio.wait_for(known.complete.wait(), 30)
        statuses = {str(each.token.token_id): each.status for each in known.values()}
        assert statuses[grant.connection_id] is TokenStatus.ACTIVE
        assert {each.token.provider for each in known.values()} == {PROVIDER}
        await grant.revoke()

        def dead() -> bool:
            return any(
                str(each.token.token_id) == grant.connection_id and each.status is TokenStatus.REVOKED
                for each in known.values()
            )

        await eventually(dead, 20, what="the state of the revoked grant")


def wevion(stack: ChildStack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = Path(sys.executable).with_name("wevion-tokens")
    file = stack.folder / "profiles.toml"
    return subprocess.run(
        [command, "--profiles", file, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


async def test_the_command_tells_people(stack: ChildStack, grant: Grant) -> None:
    me = await asyncio.to_thread(wevion, stack, "whoami")
    assert "demo-backend" in me.stdout
    assert "tokens:read" in me.stdout
    token = await asyncio.to_thread(wevion, stack, "token", grant.account_id)
    assert token.returncode == 0, token.stderr
    assert f"at {PROVIDER}" in token.stdout
    shown = await asyncio.to_thread(wevion, stack, "token", grant.account_id, "--show")
    assert shown.stdout.strip()
    assert shown.stdout.strip() not in token.stdout
    await grant.revoke()

    async def ended() -> str:
        refused = await asyncio.to_thread(wevion, stack, "token", grant.account_id)
        return refused.stderr if refused.returncode == 1 else ""

    said: str = await eventually(ended, 30, what="the command says that it ended")
    assert "fix" in said
    assert grant.connection_id in said
    why = await asyncio.to_thread(wevion, stack, "why", grant.account_id, "--json")
    story = json.loads(why.stdout)
    assert (story["token_id"], story["status"]) == (grant.connection_id, "revoked")
    assert story["history"]
    tail = await asyncio.to_thread(
        wevion, stack, "tail", "token.revoked", "--from-start", "--json", "--about", grant.connection_id
    )
    events = [json.loads(line) for line in tail.stdout.splitlines()]
    assert {event["subject"] for event in events} == {grant.connection_id}
    assert {event["type"] for event in events} == {"wevion.token.revoked.v1"}
    assert await asyncio.to_thread(lambda: wevion(stack, "tail", "token.nothing").returncode) == 1


def test_make_ctl_runs_any_command_of_a_service(stack: ChildStack) -> None:
    command = [sys.executable, "-m", "devstack", "ctl", "--dir", str(stack.folder), "session-svc"]
    made = subprocess.run(
        [*command, "create-client", "--id", "made-by-ctl", "--scope", "tokens:read", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout.strip().splitlines()[-1])["client_id"] == "made-by-ctl"
