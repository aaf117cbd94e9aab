"""The public origin: what goes in, what comes out, and what a stranger cannot do."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from yarl import URL

from common.testing import eventually
from session_svc.core.people import Role

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_cookie_goes_in_and_a_jwt_comes_out(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    answer = await browser.get("/api/v1/auth/sessions")

    assert answer.status == 200
    assert [one["current"] for one in answer.body["items"]] == [True]


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:1"])
async def test_unsafe_call_from_elsewhere_changes_nothing(world: "World", origin: str | None) -> None:
    browser = await world.signed_in(await world.person())
    headers = {"Cookie": f"wevion_session={browser.cookie}"} | ({"Origin": origin} if origin else {})

    async with world.http.post(f"{world.gateway_url}/api/v1/auth/sign-out", headers=headers) as answer:
        problem = await answer.json(content_type=None)

    assert answer.status == 403
    assert problem["code"] in {"origin_missing", "origin_not_allowed"}
    assert (await browser.token()).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/auth/sign-in", {"email": "{email}", "password": "{password}"}),
        ("POST", "/api/v1/auth/sign-out", {"everywhere": True}),
        ("POST", "/api/v1/auth/password", {"current_password": "{password}", "new_password": "another passphrase"}),
        ("POST", "/api/v1/auth/workspace", {"workspace_id": "{workspace}"}),
        ("DELETE", "/api/v1/auth/sessions", None),
        ("POST", "/api/v1/admin/users/{user}/force-logout", None),
        ("POST", "/api/v1/admin/workspaces/{workspace}/force-logout", None),
        ("PUT", "/api/v1/admin/users/{user}/role", {"role": "member"}),
    ],
)
async def test_page_of_another_site_can_do_nothing_with_the_cookie(
    world: "World", method: str, path: str, body: dict[str, Any] | None
) -> None:
    person = await world.person(role=Role.OWNER)
    browser, other = await world.signed_in(person), await world.signed_in(person)
    known = {
        "{email}": person.email,
        "{password}": person.password,
        "{workspace}": str(person.workspace_id),
        "{user}": str(person.user_id),
    }
    filled = {name: known.get(value, value) for name, value in body.items()} if body else None
    headers = {"Cookie": f"wevion_session={browser.cookie}", "Origin": "https://evil.example"}
    url = world.gateway_url + path.format(user=person.user_id, workspace=person.workspace_id)

    async with world.http.request(method, url, json=filled, headers=headers) as answer:
        assert answer.status == 403
        assert (await answer.json(content_type=None))["code"] == "origin_not_allowed"
        assert "Set-Cookie" not in answer.headers

    assert [(await one.token()).status for one in (browser, other)] == [200, 200]
    assert await world.live_sessions(person) == 2
    assert await world.signed_in(person)


async def test_identity_headers_of_the_browser_are_dropped(world: "World") -> None:
    victim = await world.signed_in(await world.person("victim"))
    token = (await victim.token()).body["token"]
    stranger = world.browser()

    answer = await stranger.get("/api/v1/auth/sessions", Authorization=f"Bearer {token}")

    assert (answer.status, answer.code) == (401, "token_missing")


async def test_client_address_is_what_the_proxy_in_front_saw(world: "World") -> None:
    person = await world.person()
    sign_in = {"email": person.email, "password": person.password}

    # One proxy in front is trusted here: what it added stands last, whatever a stranger wrote before it.
    await world.browser().post("/api/v1/auth/sign-in", sign_in, X_Forwarded_For="6.6.6.6, 203.0.113.7")

    sql = "SELECT address FROM sessions WHERE user_id = $1"
    assert await world.pool.fetchval(sql, person.user_id) == "203.0.113.7"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/messages",
        "/api/v1/nothing",
        "/api/v1/authors",
        "/api/v2/auth/token",
        "/connectx",
    ],
)
async def test_what_is_not_public_is_not_there(world: "World", path: str) -> None:
    browser = await world.signed_in(await world.person(role=Role.OWNER))

    assert (await browser.get(path)).status == 404


@pytest.mark.parametrize(
    "path", ["/api/v1/rules/..%2fmessages", "/api//v1/auth/session", "/api/v1/x/%2e%2e/admin/users"]
)
async def test_paths_that_services_could_read_differently_are_refused(world: "World", path: str) -> None:
    host, port = world.gateway_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    head = (await reader.read()).decode()

    writer.close()
    assert " 400 " in head.splitlines()[0]
    assert "path_not_plain" in head


async def test_mail_client_gets_through_without_session_and_origin_to_one_path_only(world: "World") -> None:
    preferences = f"{world.gateway_url}/api/v1/notification-preferences"

    async with world.http.post(f"{preferences}/unsubscribe?token=x", data="List-Unsubscribe=One-Click") as answer:
        there = (answer.status, await answer.text())
    async with world.http.put(preferences, json={}) as answer:
        elsewhere = (answer.status, (await answer.json(content_type=None))["code"])

    assert there == (404, "404: Not Found")  # what stands for the notifier here knows no such path: the call was there
    assert elsewhere == (403, "origin_missing")


async def test_service_that_is_down_is_named(world: "World") -> None:
    browser = await world.signed_in(await world.person())

    answer = await browser.get("/api/v1/connections")

    assert (answer.status, answer.code, answer.body["service"]) == (503, "upstream_unavailable", "oauth-svc")
    assert answer.headers["Retry-After"]
    assert (await browser.get("/api/v1/auth/session")).status == 200


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html,application/xhtml+xml"}


@pytest.mark.parametrize(
    ("path", "status", "heading", "way_on"),
    [
        ("/no-such-page", 404, "<h1>There is nothing here</h1>", 'href="/connections">To your connections'),
        ("/connect/meta?a=1&b=2", 503, "<h1>", 'href="/connect/meta?a=1&amp;b=2">Try again'),
    ],
)
async def test_a_person_reads_a_page_and_a_program_a_document(
    world: "World", path: str, status: int, heading: str, way_on: str
) -> None:
    browser = await world.signed_in(await world.person())
    cookie = {"Cookie": f"wevion_session={browser.cookie}"}

    async with world.http.get(world.gateway_url + path, headers=cookie | NAVIGATION) as answer:
        page = await answer.text()
    async with world.http.get(world.gateway_url + path, headers=cookie | {"Sec-Fetch-Mode": "cors"}) as program:
        document = await program.json()

    assert (answer.status, answer.content_type) == (status, "text/html")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert heading in page
    assert way_on in page
    assert "$" not in page
    assert (program.status, program.content_type) == (status, "application/problem+json")
    assert document["title"] in page


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_part_of_a_services_answer_is_not_passed_off_as_the_whole(world: "World", framing: str) -> None:
    browser = await world.signed_in(await world.person())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    part = '{"items": [' if "Length" in framing else 'b\r\n{"items": [\r\n'

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + part).encode())
        writer.close()
        await writer.wait_closed()

    port = URL(world.system.gateway_settings.oauth_url).port
    async with await asyncio.start_server(break_off, "127.0.0.1", port):
        headers = {"Cookie": f"wevion_session={browser.cookie}"}
        async with world.http.get(f"{world.gateway_url}/api/v1/connections", headers=headers) as answer:
            assert answer.status == 200  # it had begun so
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
    assert (await browser.get("/api/v1/auth/session")).status == 200


async def test_connect_without_a_session_leads_to_sign_in_and_back(world: "World") -> None:
    answer = await world.browser().get("/connect/meta?connection_id=1&x=%2F%2Fevil.example")

    assert answer.status == 303
    assert answer.headers["Location"] == (
        "/sign-in?reason=token_missing&return_to=%2Fconnect%2Fmeta%3Fconnection_id%3D1%26x%3D%252F%252Fevil.example"
    )


async def test_every_answer_has_the_security_headers(world: "World") -> None:
    browser = world.browser()
    for path in ("/sign-in", "/api/v1/auth/session", "/nothing", "/.well-known/jwks.json"):
        headers = (await browser.get(path)).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers.getall("Server") == ["wevion"]


async def test_body_that_is_too_large_is_refused_announced_or_not(world: "World") -> None:
    person = await world.person(role=Role.OWNER)
    browser = await world.signed_in(person)
    headers = {"Origin": world.gateway_url, "Cookie": f"wevion_session={browser.cookie}"}

    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    for body in (io.BytesIO(b"x" * (2 * 1024 * 1024)), endless()):
        try:
            async with world.http.post(f"{world.gateway_url}/api/v1/admin/users", data=body, headers=headers) as answer:
                assert answer.status == 413
                assert (await answer.json(content_type=None))["code"] == "body_too_large"
        except aiohttp.ClientConnectionError:
            pass  # cut off while it was still sending, which is as good a refusal
    members = "SELECT count(*) FROM memberships WHERE workspace_id = $1"
    assert await world.pool.fetchval(members, person.workspace_id) == 1


async def test_live_events_reach_who_may_see_them(world: "World") -> None:
    workspace = await world.workspace()
    ann = await world.signed_in(await world.person("ann", workspace_id=workspace))
    eve = await world.signed_in(await world.person("eve", workspace_id=workspace))
    async with _follow(world, ann.cookie) as of_ann, _follow(world, eve.cookie) as of_eve:
        other = await world.signed_in(await world.person("ann", workspace_id=workspace))

        event = await _next(of_ann, "token.issued")

        assert event["data"]["kind"] == "session"
        assert str(other.cookie) not in json.dumps(event)
        await eve.post("/api/v1/auth/sign-out")
        ended = await _next(of_eve, "session.ended")
        assert ended["data"]["code"] == "session_revoked"
        assert ended["data"]["cause"] == "signed_out"
        assert await _rest(of_eve) == []


async def test_last_event_id_resumes_or_says_that_it_cannot(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    async with _follow(world, browser.cookie) as stream:
        await world.signed_in(person)
        first = await _next(stream, "token.issued")
    await world.signed_in(person)
    async with _follow(world, browser.cookie, Last_Event_ID=first["id"]) as stream:
        missed = await _next(stream, "token.issued")
        assert missed["id"] != first["id"]
    async with _follow(world, browser.cookie, Last_Event_ID="0198c0de-0000-7000-8000-000000000000") as stream:
        assert await _next(stream, "resync")


async def test_quiet_stream_shows_signs_of_life(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    async with _follow(world, browser.cookie) as stream, asyncio.timeout(15):
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["Cache-Control"] == "no-store"
        lines = [line async for line in _lines(stream, until=": heartbeat", times=3)]

    assert lines[0] == "retry: 2000"


async def test_session_that_ran_out_ends_its_stream_at_the_next_heartbeat(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    async with _follow(world, browser.cookie) as stream:
        world.advance(timedelta(days=7, seconds=1))

        ended = await _next(stream, "session.ended")

        assert ended["data"]["code"] == "session_expired"
        assert await _rest(stream) == []


async def test_one_session_does_not_follow_without_end(world: "World") -> None:
    browser = await world.signed_in(await world.person())
    async with contextlib.AsyncExitStack() as streams:
        for _ in range(20):
            assert (await streams.enter_async_context(_follow(world, browser.cookie))).status == 200

        refused = await browser.get("/api/v1/events")

        assert (refused.status, refused.code) == (429, "too_many_streams")


async def test_live_updates_need_a_session(world: "World") -> None:
    answer = await world.browser().get("/api/v1/events")

    assert (answer.status, answer.code) == (401, "token_missing")


async def test_gateway_reads_kafka_once_for_all_browsers(world: "World") -> None:
    person = await world.person()
    browser = await world.signed_in(person)
    async with _follow(world, browser.cookie) as one, _follow(world, browser.cookie) as two:
        newcomer = await (await world.signed_in(person)).session_id()
        assert (await _next(one, "token.issued", newcomer))["id"] == (await _next(two, "token.issued", newcomer))["id"]

    async def read_once() -> bool:
        async with world.http.get(f"{world.system.operators_url}/metrics") as answer:
            return "wevion_gateway_live_streams 0.0" in await answer.text()

    await eventually(read_once)


def _follow(world: "World", cookie: str | None, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Cookie": f"wevion_session={cookie}"}
    return world.http.get(f"{world.gateway_url}/api/v1/events", headers=sent)


async def _next(stream: aiohttp.ClientResponse, event: str, about: str | None = None) -> dict[str, Any]:
    """The next event of this name (and about this token, if one is named); others are passed over."""
    async with asyncio.timeout(15):
        found: dict[str, Any] = {}
        async for raw in stream.content:
            line = raw.decode().rstrip("\n")
            if not line:
                if found.get("event") == event and about in {None, found["data"].get("id")}:
                    return found
                found = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = json.loads(value) if name == "data" else value
    raise AssertionError(f"the stream ended before {event}")


async def _lines(stream: aiohttp.ClientResponse, *, until: str, times: int) -> AsyncIterator[str]:
    """The stream's lines, until this one has come so often."""
    async for raw in stream.content:
        line = raw.decode().rstrip("\n")
        yield line
        times -= line == until
        if not times:
            return


async def _rest(stream: aiohttp.ClientResponse) -> list[str]:
    async with asyncio.timeout(5):
        return [line.decode() async for line in stream.content if line.strip() and not line.startswith(b":")]
