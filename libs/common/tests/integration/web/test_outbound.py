"""The connection itself is judged, whatever led to it."""

import socket
from typing import Any

import aiohttp
import pytest
from yarl import URL

from common.web import Routes, create_app, serve
from common.web.outbound import BlockedAddressError, GuardedResolver, guarded_connector


async def test_the_peer_decides_and_not_what_was_resolved_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was public when it was looked at, and leads to loopback when it is called."""
    calls = 0

    async def rebinding(self: Any, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        nonlocal calls
        calls += 1
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(GuardedResolver, "resolve", rebinding)
    async with serve(create_app(Routes("x"), title="x", version="1")) as server:
        async with aiohttp.ClientSession(connector=guarded_connector(frozenset())) as http:
            for host in ("rebinding.example", "127.0.0.1"):
                with pytest.raises((BlockedAddressError, aiohttp.ClientConnectorError)):
                    await http.get(URL.build(scheme="http", host=host, port=server.port, path="/livez"))
        assert calls == 1, "an address in a URL is not resolved"
        allowed = frozenset({f"127.0.0.1:{server.port}"})
        async with (
            aiohttp.ClientSession(connector=guarded_connector(allowed)) as http,
            http.get(f"{server.url}/livez") as answer,
        ):
            assert answer.status == 200


async def test_an_allowed_name_leads_where_it_leads() -> None:
    async with serve(create_app(Routes("x"), title="x", version="1")) as server:
        allowed = frozenset({f"localhost:{server.port}"})
        async with (
            aiohttp.ClientSession(connector=guarded_connector(allowed, family=socket.AF_INET)) as http,
            http.get(f"http://localhost:{server.port}/livez") as answer,
        ):
            assert answer.status == 200


async def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    resolver = GuardedResolver(frozenset())
    with pytest.raises(BlockedAddressError, match="not public"):
        await resolver.resolve("localhost", 443)
    allowed = GuardedResolver(frozenset({"localhost:443"}))
    assert await allowed.resolve("localhost", 443)
    assert ("127.0.0.1", 443) in allowed.exempt
    await resolver.close()
    await allowed.close()
