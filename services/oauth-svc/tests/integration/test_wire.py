"""Outgoing calls: once, in time, to public addresses only, without redirects, and never more than fits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from oauth_svc.providers.wire import BODY_LIMIT, Answer, NoAnswerError, Request, Wire


@dataclass
class Peer:
    """A server that does what a platform, or somebody in its place, may do."""

    url: str = ""
    host: str = ""
    calls: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:  # noqa: C901 - one branch per misbehaviour
    found = Peer()

    async def answer(request: web.Request) -> web.StreamResponse:
        found.calls.append(request.path)
        match request.path:
            case "/redirect":
                raise web.HTTPFound(f"{found.url}/elsewhere")
            case "/long":
                return web.Response(body=b"x" * (BODY_LIMIT + 1))
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(64):
                    await response.write(b"x" * (BODY_LIMIT // 16))
                return response
            case "/hang":
                await found.release.wait()
            case "/late":  # the headers come at once, the body never
                response = web.StreamResponse()
                await response.prepare(request)
                await found.release.wait()
                return response
            case "/cut":
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b"half")
                assert request.transport is not None
                request.transport.close()
                return response
            case "/gone":
                assert request.transport is not None
                request.transport.close()
            case "/cookie":
                return web.Response(text=request.headers.get("Cookie", ""), headers={"Set-Cookie": "a=b"})
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    found.host = f"{server.host}:{server.port}"
    found.url = f"http://{found.host}"
    yield found
    found.release.set()
    await server.close()


async def send(peer: Peer, path: str, *, allowed: bool = True, timeout_s: float = 5.0) -> Answer:
    wire = Wire(allowed_private=frozenset({peer.host}) if allowed else frozenset(), total_timeout_s=timeout_s)
    try:
        return await wire.send(Request("POST", peer.url + path, form={"refresh_token": "rt"}))
    finally:
        await wire.close()


async def test_an_answer_comes_back_whole(peer: Peer) -> None:
    answer = await send(peer, "/token")
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    assert "rt" not in repr(Request("POST", peer.url, form={"refresh_token": "rt"}, headers={"Authorization": "rt"}))


async def test_redirects_are_answers_and_are_not_followed(peer: Peer) -> None:
    assert (await send(peer, "/redirect")).status == 302
    assert peer.calls == ["/redirect"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/hang", "timeout"),
        ("/late", "timeout"),
        ("/long", "answer_too_long"),
        ("/endless", "answer_too_long"),
        ("/cut", "cut_off"),
    ],
)
async def test_what_does_not_come_in_time_or_whole_is_no_answer_and_is_not_asked_again(
    peer: Peer, path: str, code: str
) -> None:
    with pytest.raises(NoAnswerError, match=code) as caught:
        await send(peer, path, timeout_s=1.0)
    assert caught.value.sent, "it may have acted"
    assert peer.calls == [path]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_disconnect_is_no_answer_and_no_layer_sends_it_again(peer: Peer, method: str) -> None:
    """HTTP calls a GET idempotent; Meta exchanges codes with one, and Outbrain counts logins made with one."""
    wire = Wire(allowed_private=frozenset({peer.host}))
    await wire.send(Request(method, f"{peer.url}/token"))
    for _ in range(2):  # on a socket that was used before, and on a new one
        with pytest.raises(NoAnswerError, match="no_answer") as caught:
            await wire.send(Request(method, f"{peer.url}/gone"))
        assert caught.value.sent
    await wire.close()
    assert peer.calls == ["/token", "/gone", "/gone"]


async def test_nothing_listens(peer: Peer) -> None:
    wire = Wire(allowed_private=frozenset({"127.0.0.1:9"}), total_timeout_s=2)
    with pytest.raises(NoAnswerError, match="no_connection") as caught:
        await wire.send(Request("GET", "http://127.0.0.1:9/"))
    assert not caught.value.sent, "it never left, so it may be repeated"
    await wire.close()


async def test_cookies_are_not_kept(peer: Peer) -> None:
    wire = Wire(allowed_private=frozenset({peer.host}))
    for _ in range(2):
        assert (await wire.send(Request("GET", f"{peer.url}/cookie"))).body == b""
    await wire.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "https://localhost:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://[::1]:{port}/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://0.0.0.0:{port}/",
        "https://\u2460\u2461\u2466.0.0.1:{port}/",
        "https://\uff11\uff12\uff17.0.0.1:{port}/",
        "https://user@127.0.0.1:{port}/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[::127.0.0.1]:{port}/",
        "https://[fec0::1]/",
        "https://224.0.0.1/",
        "https://[ff02::1]/",
        "https://2130706433:{port}/",
        "https://0x7f.1:{port}/",
        "https://127.1:{port}/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
    ],
)
async def test_private_addresses_and_plain_http_are_refused_before_anything_is_sent(peer: Peer, url: str) -> None:
    """Whoever may write a URL into the settings may not reach what is behind the firewall with it."""
    wire = Wire(total_timeout_s=2)
    with pytest.raises(NoAnswerError) as caught:
        await wire.send(Request("GET", url.format(port=peer.host.rpartition(":")[2])))
    by_name = "localhost" in url or "0x7f" in url  # by what it leads to
    assert caught.value.code in ({"no_connection"} if by_name else {"blocked_address", "insecure_url"})
    assert not caught.value.sent
    assert peer.calls == []
    await wire.close()


async def test_only_the_very_host_and_port_that_the_settings_name_is_allowed(peer: Peer) -> None:
    with pytest.raises(NoAnswerError):
        await send(peer, "/token", allowed=False)
    other = Wire(allowed_private=frozenset({"127.0.0.1:1"}))
    with pytest.raises(NoAnswerError):
        await other.send(Request("GET", f"{peer.url}/"))
    await other.close()
    assert peer.calls == []
