"""The server as a whole: probes, metrics, logs, what is not HTTP, and a stop that cuts nobody off."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from yarl import URL

from common.telemetry import logs, metrics
from common.telemetry.sink import SINK
from common.web import HEALTH, Access, Routes, create_app, serve
from common.web import server as server_module


async def test_what_fails_after_the_start_is_shown_and_takes_nothing_out_of_service(site: Any) -> None:
    async with site.http.get("/readyz") as answer:
        assert answer.status == 200
        assert await answer.json() == {"status": "ready", "checks": {"database": "ok", "kafka": "ok"}}
    site.checks["database"] = "no connection for 12 s"
    site.checks["kafka"] = False
    async with site.http.get("/readyz") as answer:
        assert answer.status == 200
        assert (await answer.json())["checks"] == {"database": "no connection for 12 s", "kafka": "not ready"}
    async with site.http.get("/metrics") as answer:
        page = await answer.text()
    assert 'wevion_ready{check="database"} 0.0' in page
    site.checks["database"] = True
    async with site.http.get("/metrics") as answer:
        page = await answer.text()
    assert 'wevion_ready{check="database"} 1.0' in page
    assert 'wevion_ready{check="kafka"} 0.0' in page
    async with site.http.get("/livez") as answer:
        assert answer.status == 200


async def test_a_process_is_ready_once_each_check_was_good() -> None:
    said: dict[str, str | bool] = {"database": "starting", "kafka": "starting"}
    checks = {name: (lambda name=name: said[name]) for name in said}
    app = create_app(Routes("x"), title="x", version="1", ready_checks=checks)
    assert await app[HEALTH].report() == (False, {"database": "starting", "kafka": "starting"})
    said["database"] = True
    assert (await app[HEALTH].report())[0] is False
    said |= {"database": "away", "kafka": True}
    assert await app[HEALTH].report() == (True, {"database": "away", "kafka": "ok"})
    app[HEALTH].stopping.set()
    assert (await app[HEALTH].report())[0] is False


async def test_checks_may_wait_fail_and_hang() -> None:
    async def good() -> bool:
        await asyncio.sleep(0)
        return True

    async def hangs() -> None:
        await asyncio.Event().wait()

    def fails() -> None:
        raise OSError("postgresql://wevion:hunter2@db refused")

    checks = {"good": good, "hangs": hangs, "fails": fails}
    app = create_app(Routes("x"), title="x", version="1", ready_checks=checks)
    ready, said = await app[HEALTH].report()
    assert not ready
    assert said == {"good": "ok", "hangs": "no answer within 2 s", "fails": "failed: OSError"}


async def test_a_check_that_does_not_let_go_is_left_behind() -> None:
    asked = 0
    let_go = asyncio.Event()

    async def holds_on() -> None:
        nonlocal asked
        asked += 1
        try:
            await asyncio.Event().wait()
        finally:
            await let_go.wait()  # as a driver that waits for its server's word even when cancelled

    app = create_app(Routes("x"), title="x", version="1", ready_checks={"database": holds_on})
    async with asyncio.timeout(15):
        for _ in range(2):
            assert await app[HEALTH].report() == (False, {"database": "no answer within 2 s"})
    assert asked == 1
    let_go.set()


async def test_each_check_is_a_metric_that_is_true_at_the_scrape(site: Any) -> None:
    for word, ready in (("ok", 1.0), ("no connection for 12 s", 0.0), ("ok", 1.0)):
        site.checks["database"] = True if word == "ok" else word
        async with site.http.get("/metrics") as answer:
            page = await answer.text()
        assert f'wevion_ready{{check="database"}} {ready}' in page
        assert 'wevion_ready{check="kafka"} 1.0' in page


async def test_metrics_are_by_template_and_bounded(site: Any) -> None:
    def count(route: str, status: str, method: str = "GET") -> float:
        labels = {"method": method, "route": route, "status": status}
        return metrics.value("wevion_http_request_duration_seconds_count", labels)

    before = count("/items/{id}", "200"), count("/{unknown:.*}", "404"), count("/items", "405", "other")
    for number in range(1, 4):
        async with site.http.get(f"/items/00000000-0000-0000-0000-00000000000{number}"), site.http.get(f"/no/{number}"):
            pass
    for method in ("PROPFIND", "PURGE"):
        async with site.http.request(method, "/items"):
            pass
    assert count("/items/{id}", "200") == before[0] + 3
    assert count("/{unknown:.*}", "404") == before[1] + 3
    assert count("/items", "405", "other") == before[2] + 2
    async with site.http.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
        assert answer.content_type == "application/openmetrics-text"
        assert "wevion_http_requests_in_flight 1.0" in await answer.text()
    async with site.http.get("/metrics") as answer:
        assert answer.content_type == "text/plain"


@pytest.fixture
def json_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, state = list(root.handlers), root.level, dict(logs._state)
    SINK.flush()
    logs.configure("items", "json")
    yield
    SINK.flush()
    logs._state.update(state)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("json_logs")
async def test_one_line_per_request_without_its_query(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    async with site.http.get("/moved?code=hunter2", allow_redirects=False), site.http.get("/livez"):
        pass
    async with site.http.get("/items/eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.aHVudGVyMg"):
        pass
    SINK.flush()
    err = capsys.readouterr().err
    lines = [json.loads(line) for line in err.splitlines() if '"http_request"' in line]
    assert [(line["route"], line["status"]) for line in lines] == [("/moved", 400), ("/items/{id}", 400)]
    assert lines[1]["path"] == "/items/***"
    assert len(lines[0]["trace_id"]) == 32
    assert "hunter2" not in err
    assert "aHVudGVyMg" not in err


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NOT HTTP AT ALL\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(b"a%d: x\r\n" % n for n in range(200)) + b"\r\n", b"431"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (
            b"POST /items HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST /items HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
    ],
)
async def test_what_is_not_http_is_refused_as_a_problem(site: Any, head: bytes, status: bytes) -> None:
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(head)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.split()[1] == status
    assert b"application/problem+json" in answer
    assert b"Traceback" not in answer
    async with site.http.get("/livez") as alive:
        assert alive.status == 200


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nA: "])
async def test_who_never_finishes_a_head_is_disconnected(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEAD_TIMEOUT_S", 0.05)
    async with serve(create_app(Routes("x"), title="x", version="1")) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(said)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_who_has_sent_one_may_be_silent_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEAD_TIMEOUT_S", 0.05)
    async with serve(create_app(Routes("x"), title="x", version="1")) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for _ in range(2):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(5):
                assert (await reader.readuntil(b"}")).endswith(b'"ok"}')
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()


async def test_a_slow_request_gets_its_answer_after_the_limit() -> None:
    routes = Routes("x")

    @routes.get("/never", access=Access.public(), summary="x")
    async def never() -> None:
        await asyncio.Event().wait()

    app = create_app(routes, title="x", version="1", timeout_s=0.05)
    async with serve(app) as server, aiohttp.ClientSession(server.url) as http:
        async with http.get("/never") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (504, "timeout")
        async with http.get("/livez") as answer:
            assert answer.status == 200


async def test_a_stop_lets_running_requests_finish() -> None:
    routes, entered, release = Routes("x"), asyncio.Event(), asyncio.Event()

    async def work(request: web.Request) -> web.Response:
        entered.set()
        await release.wait()
        ready, said = await request.app[HEALTH].report()
        return web.json_response({"ready": ready, "said": said})

    routes.raw("GET", "/work", work)
    app = create_app(routes, title="x", version="1")
    async with aiohttp.ClientSession() as http:
        async with serve(app) as server:
            url = server.url
            running = asyncio.create_task(http.get(f"{url}/work"))
            await entered.wait()
            asyncio.get_running_loop().call_later(0.1, release.set)
        answer = await running
        assert await answer.json() == {"ready": False, "said": {"process": "stopping"}}
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(f"{url}/livez")


async def test_a_stream_can_end_itself_at_a_stop() -> None:
    routes, entered = Routes("x"), asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        entered.set()
        await request.app[HEALTH].stopping.wait()
        await answer.write(b"bye")
        return answer

    routes.raw("GET", "/events", stream)
    app = create_app(routes, title="x", version="1")
    async with aiohttp.ClientSession() as http:
        async with serve(app) as server:
            answer = await http.get(f"{server.url}/events")
            await entered.wait()
        assert await answer.read() == b"bye"


async def test_the_document_is_served(site: Any) -> None:
    async with site.http.get("/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"] == "3.1.0"
    assert "/items/{id}" in document["paths"]
    assert "/stream/{rest}" not in document["paths"]


async def test_a_stopping_server_asks_its_clients_to_connect_elsewhere(site: Any) -> None:
    async with site.http.get("/items") as answer:
        assert "Connection" not in answer.headers
    site.app[HEALTH].stopping.set()
    async with site.http.get("/items") as answer:
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
    async with site.http.get("/readyz") as answer:
        assert answer.status == 503


async def test_a_stream_does_not_answer_to_head() -> None:
    """What it would send stands where the next answer of the connection is expected."""
    routes = Routes("x")

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"retry: 2000\n\n")
        return answer

    routes.raw("GET", "/events", stream, head=False)
    async with serve(create_app(routes, title="x", version="1")) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"HEAD /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET\r\n" in head
    assert body == b""


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/tokens/diagnose", "POST"),
        ("DELETE", "/tokens/diagnose", "POST"),
        ("POST", "/tokens/1", "GET, HEAD"),
        ("PUT", "/tokens", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("OPTIONS", "/tokens/diagnose", "POST"),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_named(method: str, path: str, allow: str) -> None:
    """A path that is written out is not what a template beside it would make of it."""
    routes = Routes("x")

    async def answered(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    routes.raw("GET", "/tokens", answered)
    routes.raw("GET", "/tokens/{id}", answered)
    routes.raw("POST", "/tokens/diagnose", answered)
    async with serve(create_app(routes, title="x", version="1")) as server, aiohttp.ClientSession(server.url) as http:
        async with http.request(method, path) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, allow)
            assert (await answer.json(content_type=None))["code"] == "method_not_allowed"
        async with http.get("/tokens/diagnosis") as answer:
            assert await answer.text() == "/tokens/diagnosis"


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/items/", 308, "/items"),
        ("/items/?tag=a%2Fb", 308, "/items?tag=a%2Fb"),
        ("/items///", 308, "/items"),
        ("/nothing/", 404, None),
        ("//evil.example/", 404, None),
        ("/", 404, None),
    ],
)
async def test_a_slash_at_the_end_leads_to_the_path_without_it(
    site: Any, path: str, status: int, location: str | None
) -> None:
    url = URL(f"{site.url}{path}", encoded=True)
    async with site.http.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers.get("Location")) == (status, location)


async def test_a_taken_port_is_an_error(site: Any) -> None:
    with pytest.raises(OSError, match="in use"):
        async with serve(create_app(Routes("x"), title="x", version="1"), port=site.port):
            pass
