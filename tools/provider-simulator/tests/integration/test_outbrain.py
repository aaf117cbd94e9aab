"""Golden behaviour of Outbrain, quirk by quirk (platforms/outbrain.md)."""

from __future__ import annotations

import aiohttp
import pytest

from provider_simulator.testing import Answer, Client

BASE = "api.outbrain.com/amplify/v0.1"
USER, PASSWORD = "avery@northwind.example", "pw-avery-2026"


async def login(client: Client, user: str = USER, password: str = PASSWORD) -> Answer:
    return await client.get(f"{BASE}/login", headers={"Authorization": aiohttp.encode_basic_auth(user, password)})


async def api(client: Client, path: str, token: str) -> Answer:
    return await client.get(f"{BASE}/{path}", headers={"OB-TOKEN-V1": token})


async def test_login_answers_with_nothing_but_the_token(client: Client) -> None:
    answer = await login(client)
    assert set(answer.json) == {"OB-TOKEN-V1"}
    marketers = await api(client, "marketers", answer.json["OB-TOKEN-V1"])
    assert (marketers.json["count"], "Amplify-Request-Id" in marketers.headers) == (2, True)
    bearer = {"Authorization": f"Bearer {answer.json['OB-TOKEN-V1']}"}
    assert (await client.get(f"{BASE}/marketers", headers=bearer)).status == 401


async def test_third_login_within_an_hour_waits_in_milliseconds(client: Client) -> None:
    for _ in range(2):
        assert (await login(client)).status == 200
    await client.sim("POST", "clock", {"advance_s": 600})
    refused = await login(client)
    assert refused.status == 429
    assert int(refused.headers["Rate-Limit-Msec-Left"]) == pytest.approx(3_000_000, abs=5000)
    assert (await login(client, "jordan@kestrel.example", "pw-jordan-2026")).status == 200
    await client.sim("POST", "clock", {"advance_s": 3001})
    assert (await login(client)).status == 200
    outcomes = [line["outcome"] for line in await client.ledger(provider="outbrain")]
    assert outcomes == ["issued", "issued", "refused:rate_limited", "issued", "issued"]


async def test_failed_logins_count_too(client: Client) -> None:
    for _ in range(2):
        assert (await login(client, password="wrong")).status == 401
    assert (await login(client)).status == 429


async def test_token_dies_after_exactly_thirty_days(client: Client) -> None:
    token = (await login(client)).json["OB-TOKEN-V1"]
    await client.sim("POST", "clock", {"advance_s": 30 * 86_400 - 10})
    assert (await api(client, "marketers", token)).status == 200
    await client.sim("POST", "clock", {"advance_s": 11})
    assert (await api(client, "marketers", token)).status == 401


@pytest.mark.parametrize("ends", [True, False])
async def test_a_login_ends_the_older_token_or_not(client: Client, ends: bool) -> None:
    await client.sim("PUT", "modes/outbrain", {"login_ends_old": ends})
    old = (await login(client)).json["OB-TOKEN-V1"]
    await login(client)
    assert (await api(client, "marketers", old)).status == (401 if ends else 200)


async def test_changed_password(client: Client) -> None:
    token = (await login(client)).json["OB-TOKEN-V1"]
    await client.sim("POST", "grants/outbrain/avery/revoke", {"cause": "password_changed"})
    assert (await api(client, "marketers", token)).status == 401
    assert (await login(client)).status == 401
    await client.sim("POST", "clock", {"advance_s": 3601})
    assert (await login(client, password="pw-avery-2026-2")).status == 200


async def test_lost_and_unknown_marketers(client: Client) -> None:
    token = (await login(client)).json["OB-TOKEN-V1"]
    lost = client.world.people["avery"].accounts["outbrain"][0].id
    await client.sim("POST", "grants/outbrain/avery/revoke", {"cause": "permission_changed", "account": lost})
    assert (await api(client, "marketers", token)).json["count"] == 1
    assert (await api(client, f"marketers/{lost}", token)).status == 403
    assert (await api(client, "marketers/none", token)).status == 404


async def test_thirty_requests_a_second(client: Client) -> None:
    token = (await login(client)).json["OB-TOKEN-V1"]
    answers = [await api(client, "marketers", token) for _ in range(60)]
    refused = next(a for a in answers if a.status == 429)
    assert int(refused.headers["Rate-Limit-Msec-Left"]) > 0


async def test_no_credentials(client: Client) -> None:
    answer = await client.get(f"{BASE}/login")
    assert (answer.status, set(answer.json)) == (401, {"message"})
