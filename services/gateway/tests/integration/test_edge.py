"""What a stranger, a neighbour or a slow client can do at the public origin: nothing."""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import aiohttp.web
import pytest
from yarl import URL

from common.testing.processes.ports import choose_port
from common.web import BodyPace
from gateway import app
from gateway.settings import GatewaySettings
from testbed import running

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def _ask(world: "World", method: str, path: str, **headers: str) -> tuple[int, Any, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = URL(world.gateway_url + path, encoded=True)
    async with world.http.request(method, url, headers=sent, allow_redirects=False) as answer:
        return answer.status, await answer.json(content_type=None) if answer.content_length else None, answer.headers


async def test_two_session_cookies_are_refused_and_signing_in_again_is_the_way_out(world: "World") -> None:
    """A sibling host can plant one, and browsers send the planted one first: taking the first is taking theirs."""
    eve, tom = await world.signed_in(await world.person("eve")), await world.signed_in(await world.person("tom"))
    for path in ("/api/v1/auth/sessions", "/api/v1/auth/session", "/api/v1/events"):
        twins = f"wevion_session={eve.cookie}; wevion_session={tom.cookie}"
        status, problem, headers = await _ask(world, "GET", path, Cookie=twins)
        assert (status, problem["code"]) == (401, "session_ambiguous"), path
        assert "sign-in" in problem["fix_url"]
        assert headers["Clear-Site-Data"] == '"cookies"', "without TLS no cookie wins: the browser drops them all"
    status, _, headers = await _ask(world, "GET", "/connect/meta", Cookie=twins)
    assert (status, headers["Location"].partition("?")[0]) == (303, "/sign-in")

    person = await world.person("ann")
    body = {"email": person.email, "password": person.password}
    sent = {"Cookie": twins, "Origin": world.gateway_url}
    async with world.http.post(f"{world.gateway_url}/api/v1/auth/sign-in", json=body, headers=sent) as answer:
        assert answer.status == 200, "a stale twin does not lock anybody out"
        own = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    status, _, _ = await _ask(world, "GET", "/api/v1/auth/sessions", Cookie=f"wevion_session={own}")
    assert status == 200


@pytest.mark.parametrize(
    "twin", ["wevion_session=", "wevion_session=stale", "wevion_session=x; wevion_session=y", "theme=dark"]
)
async def test_a_cookie_that_is_bound_to_the_host_wins_over_what_was_planted(world: "World", twin: str) -> None:
    ann = await world.signed_in(await world.person("ann"))
    for line in (f"{twin}; __Host-wevion_session={ann.cookie}", f"__Host-wevion_session={ann.cookie}; {twin}"):
        status, found, _ = await _ask(world, "GET", "/api/v1/auth/session", Cookie=line)
        assert status == 200, found
        assert (await _ask(world, "GET", "/api/v1/auth/sessions", Cookie=line))[0] == 200


async def test_a_page_elsewhere_learns_nothing(world: "World") -> None:
    ann = await world.signed_in(await world.person("ann"))
    for site in ("cross-site", "same-site"):
        answer = await ann.get("/api/v1/auth/sessions", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
        assert (answer.status, answer.code) == (403, "cross_site")
        answer = await ann.post("/api/v1/auth/sign-out", Sec_Fetch_Site=site, Sec_Fetch_Mode="cors")
        assert (answer.status, answer.code) == (403, "cross_site")
    assert (await ann.get("/api/v1/auth/sessions", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")).status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/meta", {}),
        ("/api/v1/auth/sign-in", {"Content-Type": "application/json"}),
        ("/oauth2/token", FORM),
    ],
)
@pytest.mark.parametrize("length", ["600", "300000"])
async def test_a_client_that_sends_slowly_is_not_waited_for(
    world: "World", monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], length: str
) -> None:
    monkeypatch.setattr("common.web.bodies.BODY_TIMEOUT_S", 0.3)
    monkeypatch.setattr("common.web.bodies.PACE", BodyPace(0.3, 0.3, 1024))
    url = URL(world.gateway_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {url.authority}",
        f"Origin: {world.gateway_url}",
        f"Content-Length: {length}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n{")
    async with asyncio.timeout(25):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert int(head.split()[1]) in {408, 502, 503}


async def test_the_answer_of_a_platform_by_form_post_becomes_a_navigation(world: "World") -> None:
    """The browser does not send a Lax cookie with a POST from another site; with a GET it does."""
    fields = {"code": "one-time", "state": "a b&c"}
    sent = {"Origin": "https://platform.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    url = f"{world.gateway_url}/connect/apple/callback?x=1"
    async with world.http.post(url, data=fields, headers=sent, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/connect/apple/callback?" + urlencode({"x": "1", **fields})
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
    status, _, headers = await _ask(world, "GET", "/connect/apple/callback?code=one-time&state=s")
    assert status == 303
    assert headers["Location"] == "/sign-in?reason=token_missing&return_to=%2Fconnect%2Fapple"


async def test_a_callback_by_form_post_that_is_no_form_is_refused(world: "World") -> None:
    url = f"{world.gateway_url}/connect/apple/callback"
    async with world.http.post(url, data=b"x" * 70_000, headers=FORM, allow_redirects=False) as answer:
        assert answer.status == 413
    async with world.http.post(
        url, data=b"{}", headers={"Content-Type": "text/plain"}, allow_redirects=False
    ) as answer:
        assert answer.status == 415
    async with world.http.post(url, data={"code": "x" * 7000}, allow_redirects=False) as answer:
        assert answer.status == 413


async def test_streams_have_no_head(world: "World") -> None:
    ann = await world.signed_in(await world.person("ann"))
    answer = await ann.call("HEAD", "/api/v1/events")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("POST", "/connections", "GET, HEAD"), ("DELETE", "/sign-in", "GET, HEAD"), ("POST", "/api/v1/events", "GET")],
)
async def test_a_method_that_a_path_does_not_have_is_named(world: "World", method: str, path: str, allow: str) -> None:
    answer = await world.browser().call(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


async def test_a_slash_at_the_end_leads_on(world: "World") -> None:
    answer = await world.browser().get("/connections/?x=1")
    assert (answer.status, answer.headers["Location"]) == (308, "/connections?x=1")
    ann = await world.signed_in(await world.person("ann"))
    answer = await ann.get("/api/v1/auth/sessions/")
    assert (answer.status, answer.headers["Location"]) == (308, "/api/v1/auth/sessions")


async def test_services_see_listed_headers_and_their_own_cookies_only(world: "World") -> None:
    seen: list[Any] = []

    async def show(request: aiohttp.web.Request) -> aiohttp.web.Response:
        seen.append(request.headers.copy())
        return aiohttp.web.Response(status=204)

    service = aiohttp.web.Application()
    service.router.add_route("*", "/{path:.*}", show)
    runner = aiohttp.web.AppRunner(service)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", URL(world.system.gateway_settings.oauth_url).port or 0).start()
    try:
        ann = await world.signed_in(await world.person("ann"))
        sent = {"Remote_User": "root", "Client_IP": "6.6.6.6", "X_SSL_Client_Verify": "SUCCESS", "X_New": "1"}
        assert (await ann.get("/api/v1/connections", Accept_Language="de", **sent)).status == 204
    finally:
        await runner.cleanup()
    (headers,) = seen
    assert headers["Accept-Language"] == "de"
    assert headers["X-Forwarded-For"] == ann.address
    assert headers["Authorization"].startswith("Bearer ")
    for name in ("Cookie", "Remote-User", "Client-IP", "X-SSL-Client-Verify", "X-New", "X-Forwarded-Host", "Origin"):
        assert name not in headers, name


async def test_one_address_does_not_take_all_connections(world: "World") -> None:
    port = choose_port()
    kafka = world.system.kafka
    settings = GatewaySettings(
        http_port=port,
        operators_port=choose_port(),
        session_url=world.identity_url,
        jwks_url=f"{world.identity_url}/.well-known/jwks.json",
        kafka_bootstrap_servers=kafka.bootstrap,
        kafka_topic_prefix=kafka.prefix,
        most_per_address=3,
        log_level="warning",
        drain_s=1,
    )
    async with running(app.run(settings, world.clock)):
        kept = [await _connected(port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(5):
            assert await reader.read() == b"", "the fourth is closed at once"
        writer.close()
        kept[0][1].close()
        await kept[0][1].wait_closed()
        kept[0] = await _connected(port)
        for _, open_writer in kept:
            open_writer.close()


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which one request was answered, as soon as the server takes it."""
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                if b"200" in await reader.readuntil(b"}"):
                    return reader, writer
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
