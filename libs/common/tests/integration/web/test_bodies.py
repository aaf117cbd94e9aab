"""Bodies of raw routes: a size, a pace and an end, whoever sends them."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from common.web import BodyPace, Routes, create_app, read_body, read_form, serve, stream_body
from common.web import bodies as module

ROOT = Path(__file__).parents[5]
QUICK = BodyPace(idle_s=0.3, grace_s=0.3, bytes_per_s=1000)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(module, "BODY_TIMEOUT_S", 0.4)
    routes = Routes("x")

    async def whole(request: web.Request) -> web.Response:
        return web.json_response(len(await read_body(request, 1000)))

    async def form(request: web.Request) -> web.Response:
        return web.json_response(await read_form(request, 1000))

    async def streamed(request: web.Request) -> web.Response:
        return web.json_response(sum([len(part) async for part in stream_body(request, 3000, QUICK)]))

    for path, handler in (("/whole", whole), ("/form", form), ("/streamed", streamed)):
        routes.raw("POST", path, handler)
    async with serve(create_app(routes, title="x", version="1")) as server:
        yield server.port


async def ask(port: int, path: str, *parts: bytes, head: str = "", pause_s: float = 0) -> tuple[int, bytes]:
    """One request, its body in parts with pauses; the answer's status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)

    sending = asyncio.create_task(send())
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        body = await reader.readexactly(int(length[1])) if length else b""
    sending.cancel()
    writer.close()
    return int(answer.split()[1]), body


@pytest.mark.parametrize("path", ["/whole", "/form", "/streamed"])
async def test_who_sends_nothing_is_not_waited_for(port: int, path: str) -> None:
    status, body = await ask(
        port, path, head="Content-Length: 600\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    )
    assert status == 408
    assert b"request_timeout" in body


@pytest.mark.parametrize("path", ["/whole", "/streamed"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_byte_now_and_then_is_too_slow(port: int, path: str, *, chunked: bool) -> None:
    head = "Transfer-Encoding: chunked\r\n" if chunked else "Content-Length: 600\r\n"
    drip = b"1\r\nx\r\n" if chunked else b"x"
    status, _ = await ask(port, path, *[drip] * 600, head=head, pause_s=0.05)
    assert status == 408


@pytest.mark.parametrize(("path", "size"), [("/whole", 1001), ("/form", 1001), ("/streamed", 3001)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(port: int, path: str, size: int, *, chunked: bool) -> None:
    head = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {size}\r\n"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size) if chunked else b"x" * size
    assert (await ask(port, path, body, head=head))[0] == 413


async def test_a_body_that_comes_in_time_is_taken(port: int) -> None:
    head = "Content-Length: 3000\r\n"
    assert await ask(port, "/streamed", *[b"x" * 300] * 10, head=head, pause_s=0.05) == (200, b"3000")
    assert await ask(port, "/whole", b"x" * 1000, head="Content-Length: 1000\r\n") == (200, b"1000")
    assert await ask(port, "/whole", head="Content-Length: 0\r\n") == (200, b"0")


async def test_a_form_has_its_fields_in_order(port: int) -> None:
    head = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n"
    sent = b"a=1&b=&a=%C3%A9"
    assert await ask(port, "/form", sent, head=head % len(sent)) == (
        200,
        b'[["a", "1"], ["b", ""], ["a", "\\u00e9"]]',
    )
    assert (await ask(port, "/form", b"a=%ff", head=head % 5))[0] == 400
    assert (await ask(port, "/form", b"a=1", head="Content-Type: text/plain\r\nContent-Length: 3\r\n"))[0] == 415


def test_only_one_module_reads_the_bodies_of_requests() -> None:
    """Whoever reads by himself waits without a limit: `request.read()` takes as long as the client likes."""
    direct = re.compile(r"\brequest\.(?:read|text|post|json|multipart)\(|\brequest\.content\b")
    sources = [*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("libs/common/src/common/web/*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in sources if direct.search(path.read_text())}
    assert found == {"libs/common/src/common/web/bodies.py"}
