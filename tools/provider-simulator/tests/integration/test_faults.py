"""Faults: what the caller sees, and whether the platform had acted, which only the ledger knows."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from provider_simulator.testing import Answer, Client

APP = {"client_id": "wevion", "client_secret": "sim-rfc6749-secret"}
TOKEN = "rfc6749.example/token"


async def granted(client: Client, count: int = 1) -> list[dict[str, Any]]:
    grants: list[dict[str, Any]] = (await client.sim("POST", "grants/rfc6749", {"count": count}))["grants"]
    return grants


async def refresh(client: Client, token: str) -> Answer:
    return await client.post(TOKEN, APP | {"grant_type": "refresh_token", "refresh_token": token})


async def last(client: Client) -> dict[str, Any]:
    return (await client.ledger())[-1]


@pytest.mark.parametrize(
    ("order", "status", "text"),
    [
        ({"kind": "status"}, 503, "server_error"),
        ({"kind": "status", "status": 500}, 500, "server_error"),
        ({"kind": "status", "status": 400, "code": "invalid_request"}, 400, "invalid_request"),
        ({"kind": "status", "status": 200, "body": "<p>Fine</p>", "content_type": "text/html"}, 200, "<p>Fine</p>"),
        ({"kind": "rate_limit", "retry_after": 7}, 429, "temporarily_unavailable"),
        ({"kind": "html"}, 502, "<h1>502 Bad Gateway</h1>"),
    ],
)
async def test_refused_before_the_platform_looked(
    client: Client, order: dict[str, Any], status: int, text: str
) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", endpoint="token", count=1, when="before", **order)
    refused = await refresh(client, token)
    assert (refused.status, text in refused.text) == (status, True)
    if order["kind"] == "rate_limit":
        assert refused.headers["Retry-After"] == "7"
    line = await last(client)
    assert (line["taken"], line["fault"], line["grant"]) == (False, order["kind"], "rfc6749-avery-1")
    assert (await refresh(client, token)).status == 200
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {}


@pytest.mark.parametrize(("kind", "status"), [("status", 503), ("html", 502)])
async def test_trouble_after_the_platform_acted_is_what_is_meant_unless_told_otherwise(
    client: Client, kind: str, status: int
) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", endpoint="token", kind=kind, count=1)
    assert (await refresh(client, token)).status == status
    line = await last(client)
    assert (line["taken"], line["outcome"], line["fault"]) == (True, "rotated", kind)
    assert (await refresh(client, token)).json["error"] == "invalid_grant"


@pytest.mark.parametrize("kind", ["reset_after_answer", "malformed"])
async def test_lost_after_the_platform_acted(client: Client, kind: str) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", endpoint="token", kind=kind, count=1)
    if kind == "malformed":
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            _ = (await refresh(client, token)).json
    else:
        with pytest.raises(aiohttp.ClientError):
            await refresh(client, token)
    line = await last(client)
    assert (line["taken"], line["outcome"], line["fault"]) == (True, "rotated", kind)
    assert (await refresh(client, token)).json["error"] == "invalid_grant"
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"rfc6749-avery-1": 1}


async def test_reset_before_leaves_the_token_good(client: Client) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", kind="reset", count=1)
    with pytest.raises(aiohttp.ClientError):
        await refresh(client, token)
    assert (await refresh(client, token)).status == 200


async def test_hang_gives_no_answer_at_all(client: Client) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", kind="hang", count=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(refresh(client, token), 0.2)
    assert (await last(client))["outcome"] == "fault:hang"
    assert (await refresh(client, token)).status == 200


async def test_slow_acts_first_and_answers_late(client: Client) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", kind="slow", delay_ms=5000, count=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(refresh(client, token), 0.2)
    assert (await refresh(client, token)).json["error"] == "invalid_grant"
    assert [line["outcome"] for line in await client.ledger()] == ["rotated", "refused:reused"]


async def test_when_overrides_the_order_of_acting(client: Client) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.fault(provider="rfc6749", kind="status", status=500, when="after", count=1)
    assert (await refresh(client, token)).status == 500
    assert (await refresh(client, token)).json["error"] == "invalid_grant"


async def test_rate_count_grant_and_endpoint_narrow_a_fault(client: Client) -> None:
    one, two = await granted(client, 2)
    order = await client.fault(provider="rfc6749", endpoint="token", kind="status", when="before", grant=one["grant"])
    assert (await refresh(client, one["refresh_token"])).status == 503
    assert (await refresh(client, two["refresh_token"])).status == 200
    bearer = {"Authorization": f"Bearer {one['access_token']}"}
    assert (await client.get("rfc6749.example/api/me", headers=bearer)).status == 200
    assert (await client.sim("GET", "faults"))["faults"][0]["hits"] == 1
    assert (await client.sim("DELETE", "faults", id=str(order["id"])))["ended"] == 1
    assert (await refresh(client, one["refresh_token"])).status == 200


async def test_rate_is_a_share_drawn_from_the_seed(client: Client) -> None:
    grants = await granted(client, 200)
    await client.fault(provider="rfc6749", endpoint="token", kind="status", rate=0.3)
    statuses = [(await refresh(client, g["refresh_token"])).status for g in grants]
    assert 30 < statuses.count(503) < 90


async def test_outage_and_restoration(client: Client) -> None:
    token = (await granted(client))[0]["refresh_token"]
    await client.sim("POST", "events/rfc6749", {"kind": "outage", "status": 502, "when": "before"})
    for _ in range(3):
        assert (await refresh(client, token)).status == 502
    await client.sim("POST", "events/rfc6749", {"kind": "restored"})
    assert (await refresh(client, token)).status == 200


async def test_all_grants_ended_by_the_platform(client: Client) -> None:
    grants = await granted(client, 5)
    ended = await client.sim("POST", "events/rfc6749", {"kind": "all_ended"})
    assert len(ended["changed"]) == 5
    for grant in grants:
        assert (await refresh(client, grant["refresh_token"])).json["error"] == "invalid_grant"


async def test_a_limit_of_the_platform_refuses_and_counts(client: Client) -> None:
    grants = await granted(client, 6)
    await client.sim("PUT", "limits/rfc6749", {"per_second": 0.5, "burst": 4})
    answers = [await refresh(client, g["refresh_token"]) for g in grants]
    assert [a.status for a in answers] == [200, 200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    assert (await client.sim("GET", "limits"))["refused"] == {"rfc6749": 2}
    assert (await last(client))["outcome"] == "refused:rate_limited"
    await client.sim("POST", "clock", {"advance_s": 10})
    assert (await refresh(client, grants[4]["refresh_token"])).status == 200


async def test_clock_skew_moves_the_date_and_absolute_times(client: Client) -> None:
    grant = (await granted(client))[0]
    asked = APP | {"token": grant["access_token"]}
    before = (await client.post("rfc6749.example/introspect", asked)).json["exp"]
    await client.fault(provider="rfc6749", kind="clock_skew", skew_s=-600)
    answer = await client.post("rfc6749.example/introspect", asked)
    assert answer.json["exp"] - before == -600
    off = parsedate_to_datetime(answer.headers["Date"]).timestamp() - client.world.clock.now()
    assert off == pytest.approx(-600, abs=3)


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ({"provider": "rfc6749", "kind": "explode"}, "kind"),
        ({"provider": "rfc6749"}, "kind"),
        ({"provider": "rfc6749", "kind": "status", "status": 99}, "status"),
        ({"provider": "rfc6749", "kind": "slow", "delay_ms": -1}, "delay_ms"),
        ({"provider": "rfc6749", "kind": "slow", "rate": 0}, "rate"),
        ({"provider": "rfc6749", "kind": "slow", "speed": 1}, "speed"),
    ],
)
async def test_wrong_orders_name_their_field(client: Client, order: dict[str, Any], word: str) -> None:
    answer = await client.ask("POST", f"{client.simulator.control_url}/_sim/faults", json=order)
    assert (answer.status, word in answer.json["detail"]) == (422, True)
    assert (await client.sim("GET", "faults"))["faults"] == []


async def test_unknown_provider_is_named(client: Client) -> None:
    order = {"provider": "myspace", "kind": "hang"}
    answer = await client.ask("POST", f"{client.simulator.control_url}/_sim/faults", json=order)
    assert (answer.status, "myspace" in answer.json["detail"]) == (404, True)
