"""The console's pages and files over HTTP: what browsers may keep, and what they may run."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from gateway.console.pages import APP_PAGES, OTHER_PAGES

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def fetch(world: "World", path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """One GET of a browser without a session."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with world.http.get(world.gateway_url + path, headers=sent, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("path", [*APP_PAGES, *OTHER_PAGES])
async def test_page_runs_only_our_own_scripts(world: "World", path: str) -> None:
    status, headers, body = await fetch(world, path)

    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] == "same-origin"
    assert re.findall(rb"<script(?![^>]*\ssrc=)[^>]*>", body) == []
    assert re.findall(rb"\s(?:on[a-z]+|style)=", body) == []


async def test_every_file_that_a_page_names_is_there_and_kept_for_good(world: "World") -> None:
    _, headers, page = await fetch(world, "/connections")
    assert headers["Cache-Control"] == "no-cache"
    names = {name.decode() for name in re.findall(rb'"(/static/[^"]+)"', page)}
    assert names

    for name in names:
        status, headers, _ = await fetch(world, name)
        assert status == 200, name
        assert "immutable" in headers["Cache-Control"]
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_module_has_an_address_that_stays(world: "World") -> None:
    status, headers, body = await fetch(world, "/static/latest/session.js")

    assert status == 200
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Content-Type"].startswith("text/javascript")
    assert b"export class Session" in body


async def test_unchanged_file_is_not_sent_again(world: "World") -> None:
    for path in ("/connections", "/static/latest/session.js"):
        _, headers, _ = await fetch(world, path)
        status, _, body = await fetch(world, path, If_None_Match=headers["ETag"])
        assert (status, body) == (304, b"")
        status, _, _ = await fetch(world, path, If_None_Match='"something else"')
        assert status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/latest/nothing.js",
        "/static/latest/../pages.py",
        "/static/latest/%2e%2e/pages.py",
        "/static/latest/..%2fpages.py",
        "/static/latest//etc/passwd",
        "/static/latest/",
    ],
)
async def test_nothing_but_the_consoles_own_files_is_served(world: "World", path: str) -> None:
    status, _, body = await fetch(world, path)

    assert status == 404
    assert b"import" not in body


async def test_start_page_leads_to_the_connections(world: "World") -> None:
    status, headers, _ = await fetch(world, "/")

    assert (status, headers["Location"]) == (303, "/connections")
