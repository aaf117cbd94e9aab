"""Requests over real HTTP: what is accepted, and what each refusal says."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from common.web import SECURITY_HEADERS

ZERO = "00000000-0000-0000-0000-000000000000"
ONE = "00000000-0000-0000-0000-000000000001"


async def problem(answer: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, whose form is checked here for all."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    found: dict[str, Any] = await answer.json(content_type=None)
    assert found["code"] == code
    assert found["type"] == f"urn:wevion:problem:{code}"
    assert found["status"] == status
    assert found["title"]
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    return found


def fields(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(error["in"], error["field"], error["rule"]) for error in document["errors"]}


async def test_a_good_request(site: Any) -> None:
    async with site.http.get("/items", params=[("limit", "3"), ("tag", "a"), ("tag", "b")]) as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "items": [{"name": "a", "said": "3"}, {"name": "b", "said": "3"}],
            "next_cursor": None,
        }
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "aiohttp" not in answer.headers["Server"]


async def test_status_headers_and_nothing(site: Any) -> None:
    async with site.http.post("/items", json={"name": "abc", "count": 3}) as answer:
        assert (answer.status, await answer.json()) == (201, {"name": "abc", "said": "3"})
    async with site.http.put("/items") as answer:
        assert (answer.status, answer.headers["Location"]) == (202, "/items/1")
    async with site.http.delete(f"/items/{ONE}", headers={"Authorization": "x"}) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
    async with site.http.head("/items") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with site.http.post("/form", data={"name": "abc", "count": "4"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"name": "abc", "said": ""})
    async with site.http.post("/raw", data=b"x" * 90_000) as answer:
        assert (await answer.json())["name"] == "90000"


async def test_a_redirect_and_a_stream_keep_their_own_headers(site: Any) -> None:
    async with site.http.get("/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/items?limit=1")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with site.http.patch("/stream/a/b?anything=1") as answer:
        assert (answer.status, await answer.text()) == (200, "PATCH")
        assert answer.headers["Cache-Control"] == "max-age=5"


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", {("query", "limit", "greater_than_equal")}),
        ("limit=x", {("query", "limit", "int_parsing")}),
        ("limit=1&limit=2", {("query", "limit", "duplicate")}),
        ("limt=1", {("query", "limt", "unknown")}),
        (
            "limt=1&limit=0&since=never",
            {
                ("query", "limt", "unknown"),
                ("query", "limit", "greater_than_equal"),
                ("query", "since", "datetime_from_date_parsing"),
            },
        ),
        ("tag=%00", {("query", "tag", "nul_character")}),
        ("cursor=", {("query", "cursor", "string_too_short")}),
    ],
)
async def test_queries_that_are_refused(site: Any, query: str, wrong: set[tuple[str, str, str]]) -> None:
    async with site.http.get(f"/items?{query}") as answer:
        assert fields(await problem(answer, 400, "invalid_request")) == wrong


async def test_a_query_where_none_is_taken_is_refused(site: Any) -> None:
    async with site.http.get(f"/items/{ONE}?verbose=1") as answer:
        assert fields(await problem(answer, 400, "invalid_request")) == {("query", "verbose", "unknown")}


@pytest.mark.parametrize("identity", ["1", "%00", f"{ONE}0", "..%2f..", "%F0%9F%92%A9", "'; drop table x"])
async def test_paths_that_are_refused(site: Any, identity: str) -> None:
    async with site.http.get(f"/items/{identity}") as answer:
        assert answer.status in {400, 404}
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {("body", "name", "required")}),
        ({"name": "a"}, {("body", "name", "string_too_short")}),
        ({"name": "abc", "cuont": 1}, {("body", "cuont", "unknown")}),
        ({"name": "abc", "count": "1"}, {("body", "count", "int_type")}),
        ({"name": "abc", "count": 1.5}, {("body", "count", "int_type")}),
        ({"name": "abc", "inner": {"k": ["a", 1]}}, {("body", "inner.k.1", "string_type")}),
        ({"name": "abc\x00"}, {("body", "", "nul_character")}),
        ({"name": "abc", "inner": {"\x00": []}}, {("body", "", "nul_character")}),
        ({"name": "abc", "secret": "\x00"}, {("body", "", "nul_character")}),
        ([], {("body", "", "model_type")}),
        ("null", {("body", "", "model_type")}),
    ],
)
async def test_bodies_that_are_refused(site: Any, body: Any, wrong: set[tuple[str, str, str]]) -> None:
    async with site.http.post("/items", json=body) as answer:
        assert fields(await problem(answer, 400, "invalid_request")) == wrong


async def test_a_refusal_does_not_repeat_what_was_sent(site: Any) -> None:
    async with site.http.post("/items", json={"name": "hunter2" * 10, "secret": 1234567, "count": "hunter2"}) as answer:
        text = await answer.text()
    assert "hunter2" not in text
    assert "1234567" not in text


@pytest.mark.parametrize(
    ("body", "code", "position"),
    [
        (b"", "malformed_json", {"line": 1, "column": 0}),
        (b'{"name": "abc",\n "count": }', "malformed_json", {"line": 2, "column": 11}),
        (b"\xff\xfe", "malformed_json", {"line": 1, "column": 1}),
        (b'{"name": "\\ud800"}', "malformed_json", {"line": 1, "column": 17}),
        (b"[" * 1000, "json_too_deep", {"line": 1, "column": 202}),
        (b'{"a":' * 210 + b"1" + b"}" * 210, "json_too_deep", None),
    ],
)
async def test_json_that_is_none(site: Any, body: bytes, code: str, position: dict[str, int] | None) -> None:
    async with site.http.post("/items", data=body, headers={"Content-Type": "application/json"}) as answer:
        found = await problem(answer, 400, code)
        if position:
            assert found["position"] == position


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_other_media_types_are_refused(site: Any, content_type: str) -> None:
    async with site.http.post("/items", data=b'{"name":"abc"}', headers={"Content-Type": content_type}) as answer:
        await problem(answer, 415, "unsupported_media_type")
        assert answer.headers["Accept"] == "application/json"


async def test_compressed_bodies_are_refused_unread(site: Any) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with site.http.post("/items", data=b"\x1f\x8b\x08junk", headers=headers) as answer:
        await problem(answer, 415, "unsupported_content_encoding")


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_are_refused(site: Any, *, chunked: bool) -> None:
    async def parts() -> Any:
        for _ in range(50):
            yield b"x" * 1000

    body = parts() if chunked else b"x" * 50_000
    async with site.http.post("/items", data=body, headers={"Content-Type": "application/json"}) as answer:
        await problem(answer, 413, "body_too_large")
        assert answer.headers["Connection"] == "close"
    async with site.http.get("/items") as answer:
        assert answer.status == 200


async def test_a_body_that_is_broken_off_ends_nothing_else(site: Any) -> None:
    _, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"POST /items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with site.http.get("/items") as answer:
        assert answer.status == 200


async def test_forms_that_are_refused(site: Any) -> None:
    async with site.http.post(
        "/form", data="name=abc&name=def", headers={"Content-Type": "application/x-www-form-urlencoded"}
    ) as answer:
        assert answer.status == 400
        found = await answer.json()
        assert (found["error"], found["errors"][0]["rule"]) == ("invalid_request", "duplicate")
        assert answer.headers["Cache-Control"] == "no-store"
    for body in ("&".join(f"a{n}=1" for n in range(200)), "name=%ff%", "novalue"):
        async with site.http.post(
            "/form", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ) as answer:
            assert answer.status == 400
    async with site.http.post("/form", data={"name": "wrong"}) as answer:
        assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")
    async with site.http.post("/form", json={"name": "abc"}) as answer:
        assert answer.status == 415


async def test_nothing_here(site: Any) -> None:
    async with site.http.get("/nothing/here") as answer:
        await problem(answer, 404, "not_found")
    async with site.http.post(f"/items/{ONE}") as answer:
        found = await problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "DELETE, GET, HEAD"
        assert "DELETE, GET, HEAD" in found["detail"]
    async with site.http.request("PROPFIND", "/items") as answer:
        await problem(answer, 405, "method_not_allowed")


async def test_a_problem_with_its_fix(site: Any) -> None:
    async with site.http.get(f"/items/{ZERO}") as answer:
        found = await problem(answer, 404, "no_such_item")
        assert (found["detail"], found["fix"], found["fix_url"]) == ("It was removed.", "Make a new one.", "/items")


async def test_without_a_token(site: Any) -> None:
    async with site.http.delete(f"/items/{ONE}") as answer:
        await problem(answer, 401, "token_missing")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/broken", 500, "internal_error"), ("/away", 503, "temporarily_unavailable"), ("/odd", 500, "internal_error")],
)
async def test_what_nobody_expected_loses_its_detail(site: Any, path: str, status: int, code: str) -> None:
    async with site.http.get(path) as answer:
        text = json.dumps(await problem(answer, status, code))
    assert "hunter2" not in text
    assert "10.0.0.1" not in text
    assert "Error" not in text


async def test_the_trace_goes_on_and_is_named(site: Any) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with site.http.get("/broken", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}) as answer:
        assert (await problem(answer, 500, "internal_error"))["trace_id"] == trace_id
    async with site.http.get("/broken", headers={"traceparent": "garbage"}) as answer:
        assert len((await problem(answer, 500, "internal_error"))["trace_id"]) == 32
