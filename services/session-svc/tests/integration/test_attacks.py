"""Keeping people out: what a stranger can send, refused with its reason, and nothing changed."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.runtime.ids import new_id
from session_svc.core.people import Role

if TYPE_CHECKING:
    from testbed import Browser, World

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Forge:
    """Makes JWTs with our own key, and changes one thing."""

    def __init__(self, world: "World", claims: dict[str, Any]) -> None:
        self.world = world
        self.claims = claims
        self.keys = world.deps().keys

    @classmethod
    async def of(cls, world: "World", browser: "Browser") -> "Forge":
        token = (await browser.token()).body["token"]
        made = cls(world, jwt.decode(token, options={"verify_signature": False}))
        await made.keys.load(world.clock.now())
        return made

    def token(self, **changes: Any) -> str:
        claims = {name: value for name, value in (self.claims | changes).items() if value is not None}
        return self.keys.sign(claims, self.world.clock.now())

    async def answer(self, token: str, path: str = "/api/v1/auth/sessions") -> tuple[int, str]:
        """Status and code of the identity API itself, behind the gateway that would drop the header."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.world.http.get(self.world.identity_url + path, headers=headers) as response:
            body = await response.json(content_type=None)
            return response.status, body.get("code", "")


async def test_unchanged_forgery_is_good_so_the_refusals_below_mean_something(world: "World") -> None:
    forge = await Forge.of(world, await world.signed_in(await world.person()))

    assert await forge.answer(forge.token()) == (200, "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "somebody-else"}, "token_invalid"),
        ({"iss": "https://evil.example"}, "token_invalid"),
        ({"sub": None}, "token_invalid"),
        ({"sub": "1"}, "token_invalid"),
        ({"jti": None}, "token_invalid"),
        ({"exp": None}, "token_invalid"),
        ({"epoch": None}, "token_invalid"),
        ({"epoch": "0"}, "token_invalid"),
        ({"client_id": "sync"}, "token_invalid"),
        ({"act": "admin"}, "token_invalid"),
    ],
)
async def test_jwt_with_a_wrong_claim_is_refused(world: "World", changes: dict[str, Any], code: str) -> None:
    forge = await Forge.of(world, await world.signed_in(await world.person()))

    assert await forge.answer(forge.token(**changes)) == (401, code)


@pytest.mark.parametrize(
    ("seconds", "status", "code"),
    [(59, 200, ""), (61, 401, "clock_skew"), (-3659, 200, ""), (-3661, 401, "token_expired")],
)
async def test_clock_skew_of_a_minute_is_tolerated_and_more_is_named(
    world: "World", seconds: int, status: int, code: str
) -> None:
    forge = await Forge.of(world, await world.signed_in(await world.person()))
    issued = int(world.clock.now().timestamp()) + seconds

    assert await forge.answer(forge.token(iat=issued, exp=issued + 3600)) == (status, code)


async def test_jwt_that_we_did_not_sign_is_refused(world: "World") -> None:
    forge = await Forge.of(world, await world.signed_in(await world.person()))
    good = forge.token()
    head, payload, signature = good.split(".")
    kid = jwt.get_unverified_header(good)["kid"]
    public = forge.keys.current[kid].public_bytes_raw()
    flipped = ("B" if payload[10] == "A" else "A").join((payload[:10], payload[11:]))

    def headed(header: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()

    for bad in (
        f"{headed({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        f"{headed({'alg': 'none', 'kid': kid})}.{payload}.{signature}",
        jwt.encode(forge.claims, base64.urlsafe_b64encode(public).decode(), algorithm="HS256", headers={"kid": kid}),
        f"{head}.{flipped}.{signature}",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{headed({'alg': 'EdDSA', 'kid': 'x' * 100})}.{payload}.{signature}",
        f"{headed({'alg': 'EdDSA', 'kid': '../../etc/passwd'})}.{payload}.{signature}",
        f"{headed({'alg': 'EdDSA', 'kid': kid, 'crit': ['b64'], 'b64': False})}.{payload}.{signature}",
        f"{headed({'alg': 'EdDSA', 'jwk': {'kty': 'OKP'}})}.{payload}.{signature}",
        "a.b.c",
        "A" * 5000,
    ):
        assert await forge.answer(bad) == (401, "token_invalid"), bad[:80]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/v1/auth/sessions", None),
        ("POST", "/api/v1/admin/users/{user}/force-logout", None),
        ("PUT", "/api/v1/admin/users/{user}/role", {"role": "owner"}),
        ("POST", "/api/v1/admin/impersonations", {"user_id": "{user}", "reason": "because I can do it"}),
    ],
)
async def test_forged_jwt_changes_nothing(world: "World", method: str, path: str, body: Any) -> None:
    person = await world.person("ann", Role.MEMBER)
    browser, other = await world.signed_in(person), await world.signed_in(person)
    forge = await Forge.of(world, browser)
    head, payload, signature = forge.token(role="owner").split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    mine = Ed25519PrivateKey.generate()
    kid = jwt.get_unverified_header(f"{head}.{payload}.{signature}")["kid"]
    forgeries = {
        "unsigned": f"{unsigned}.{payload}.",
        "by another key": jwt.encode(forge.claims | {"role": "support_admin"}, mine, "EdDSA", headers={"kid": kid}),
        "raised": f"{head}.{payload}.{(await browser.token()).body['token'].rpartition('.')[2]}",
        "for others": forge.token(aud="billing", role="support_admin"),
        "too old": forge.token(iat=0, exp=3600, role="support_admin"),
    }
    sent = {name: str(person.user_id) if value == "{user}" else value for name, value in (body or {}).items()} or None

    for what, token in forgeries.items():
        headers = {"Authorization": f"Bearer {token}"}
        url = world.identity_url + path.format(user=person.user_id)
        async with world.http.request(method, url, json=sent, headers=headers) as answer:
            assert answer.status == 401, what

    assert [(await one.token()).status for one in (browser, other)] == [200, 200]
    assert await world.live_sessions(person) == 2
    sql = "SELECT role FROM memberships WHERE user_id = $1"
    assert await world.pool.fetchval(sql, person.user_id) == "member"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_form_of_another_site_is_no_json(world: "World", content_type: str) -> None:
    """What a page elsewhere can send without asking first: even past the check of the origin it would be refused."""
    person = await world.person()
    body = json.dumps({"email": person.email, "password": person.password}).encode()
    headers = {"Origin": world.gateway_url, "Content-Type": content_type, "X-Forwarded-For": world.address}

    async with world.http.post(f"{world.gateway_url}/api/v1/auth/sign-in", data=body, headers=headers) as answer:
        assert answer.status == 415
        assert "Set-Cookie" not in answer.headers
    assert await world.live_sessions(person) == 0


async def test_role_in_the_jwt_is_not_taken_from_the_browser(world: "World") -> None:
    member = await world.signed_in(await world.person("ann", Role.MEMBER))

    answer = await member.get("/api/v1/admin/users", X_Wevion_Role="owner", X_User_Role="owner")

    assert (answer.status, answer.code) == (403, "forbidden_role")


async def test_support_admin_flag_is_read_again_when_it_matters(world: "World") -> None:
    admin = await world.person("sup", support=True)
    victim = await world.person("ann")
    support = await world.signed_in(admin)
    await world.pool.execute("UPDATE users SET support_admin = false WHERE user_id = $1", admin.user_id)

    wanted = {"user_id": str(victim.user_id), "reason": "no longer allowed to"}
    answer = await support.post("/api/v1/admin/impersonations", wanted)

    assert answer.status == 404
    assert await world.live_sessions(victim) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/auth/sessions/{session}"),
        ("DELETE", "/api/v1/admin/sessions/{session}"),
        ("POST", "/api/v1/admin/users/{user}/force-logout"),
        ("PUT", "/api/v1/admin/users/{user}/role"),
        ("DELETE", "/api/v1/admin/users/{user}"),
        ("POST", "/api/v1/admin/workspaces/{workspace}/force-logout"),
    ],
)
async def test_ids_of_another_workspace_do_not_exist(world: "World", method: str, path: str) -> None:
    owner = await world.signed_in(await world.person("own", Role.OWNER))
    victim = await world.person("ann", Role.MEMBER, await world.workspace("Elsewhere"))
    browser = await world.signed_in(victim)
    ids = {"session": await browser.session_id(), "user": victim.user_id, "workspace": victim.workspace_id}

    theirs = await owner.call(method, path.format(**ids), {"role": "admin"} if method == "PUT" else None)
    nobodys = await owner.call(
        method, path.format(**dict.fromkeys(ids, new_id())), {"role": "admin"} if method == "PUT" else None
    )

    assert theirs.status == nobodys.status == 404
    assert {**theirs.body, "trace_id": ""} == {**nobodys.body, "trace_id": ""}
    assert (await browser.token()).status == 200
    role = await world.pool.fetchval("SELECT role FROM memberships WHERE user_id = $1", victim.user_id)
    assert role == "member"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_json"),
        (b"[" * 50_000, "body_too_large"),
        (b"[" * 3_000, "json_too_deep"),
        (b'{"email": "a@b.cd", "password": "' + b"x" * 5000 + b'"}', "body_too_large"),
        (b"\xff\xfe", "malformed_json"),
        (b'{"email": "a\\u0000@example.com", "password": "x"}', "invalid_request"),
        (b"null", "invalid_request"),
    ],
)
async def test_hostile_body_is_refused_by_name(world: "World", body: bytes, code: str) -> None:
    headers = {"Origin": world.gateway_url, "Content-Type": "application/json", "X-Forwarded-For": world.address}

    async with world.http.post(f"{world.gateway_url}/api/v1/auth/sign-in", data=body, headers=headers) as answer:
        problem = await answer.json(content_type=None)

    assert answer.status in {400, 413}
    assert problem["code"] == code


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/v1/auth/session HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(500)),
        "GET /api/v1/auth/session HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 100_000 + "\r\n",
        "GET /" + "a" * 100_000 + " HTTP/1.1\r\nHost: x\r\n",
        "GET /api/v1/auth/session HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "GET /api/v1/auth/session HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "GET /api/v1/auth/session HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n",
        "\x16\x03\x01 nonsense\r\n",
    ],
    ids=["flood", "long header", "long line", "smuggling", "two lengths", "folding", "no http"],
)
async def test_hostile_head_is_refused_and_the_gateway_goes_on(world: "World", head: str) -> None:
    host, port = world.gateway_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode("latin-1") + b"\r\n")
    async with asyncio.timeout(15):
        try:
            answer = await reader.read(4096)
        except ConnectionError:
            answer = b""
    writer.close()

    assert not answer or answer.split(b" ")[1] in {b"400", b"414", b"431"}, answer[:200]
    assert (await world.browser().get("/api/v1/auth/session")).status == 401


@pytest.mark.parametrize("path", ["/api/v1/auth/sign-out", "/api/v1/auth/token", "/api/v1/auth/workspace"])
@pytest.mark.parametrize("cookie", [b"\xff\xfe", "\u00e9".encode() * 43, b"\x01" * 43, b"A" * 4000])
async def test_cookie_that_is_no_text_is_no_session(world: "World", path: str, cookie: bytes) -> None:
    for url in (world.gateway_url, world.identity_url):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: x",
            f"Origin: {world.gateway_url}",
            "Content-Length: 0",
            "Connection: close",
        )
        writer.write("\r\n".join(lines).encode() + b"\r\nCookie: wevion_session=" + cookie + b"\r\n\r\n")
        async with asyncio.timeout(15):
            answer = await reader.read()
        writer.close()

        assert answer.split(b" ")[1] in {b"204", b"400", b"401"}, answer[:300]


@pytest.mark.parametrize("credentials", ["é", "====", "bm9jb2xvbg==", "AHg6eA==", "/////w==", ""])
async def test_authorization_that_cannot_be_read_is_no_client(world: "World", credentials: str) -> None:
    headers = {"Authorization": f"Basic {credentials}"}
    form = {"grant_type": "client_credentials"}

    async with world.http.post(f"{world.gateway_url}/oauth2/token", data=form, headers=headers) as answer:
        assert answer.status == 401
        assert (await answer.json(content_type=None))["error"] == "invalid_client"


async def test_operators_paths_are_not_public(world: "World") -> None:
    """Not for anybody: no address and no header opens them at the public port."""
    for path in ("/metrics", "/readyz", "/openapi.json"):
        for address in ("203.0.113.7", "10.0.0.1", "127.0.0.1"):
            stranger = world.browser()
            stranger.address = address
            assert (await stranger.get(path)).status == 404
        async with world.http.get(world.system.operators_url + path) as answer:
            assert answer.status == 200
    assert (await world.browser().get("/livez")).status == 200
    async with world.http.get(f"{world.system.operators_url}/api/v1/auth/session") as answer:
        assert answer.status == 404


async def test_session_of_somebody_is_not_found_by_its_id(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    session_id = UUID(await browser.session_id())
    thief = world.browser()

    for guess in (str(session_id), session_id.hex, base64.urlsafe_b64encode(session_id.bytes * 2).decode()[:43]):
        thief.cookie = guess
        assert (await thief.token()).code == "token_missing"


async def test_old_jwt_is_useless_after_its_hour(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    forge = await Forge.of(world, browser)
    token = (await browser.token()).body["token"]

    world.advance(timedelta(hours=1, minutes=1))

    assert await forge.answer(token) == (401, "token_expired")
    assert (await browser.get("/api/v1/auth/sessions")).status == 200


async def test_a_public_key_that_somebody_wrote_into_the_table_is_not_published(world: "World") -> None:
    mine = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    keys = world.deps().keys
    await keys.ensure(world.clock.now())
    honest = keys.jwks(world.clock.now())
    kid = honest["keys"][0]["kid"]
    before = await world.pool.fetchval("SELECT public_key FROM signing_keys WHERE kid = $1", kid)
    await world.pool.execute("UPDATE signing_keys SET public_key = $2 WHERE kid = $1", kid, mine)
    try:
        fresh = world.deps().keys  # as a replica that starts now
        await fresh.ensure(world.clock.now())

        assert fresh.jwks(world.clock.now()) == honest
    finally:
        await world.pool.execute("UPDATE signing_keys SET public_key = $2 WHERE kid = $1", kid, before)
