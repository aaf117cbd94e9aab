"""Golden behaviour of TikTok, quirk by quirk (platforms/tiktok.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider_simulator.testing import PUBLIC_URL, Answer, Client

APP = {"app_id": "7000000000000000001", "secret": "sim-tiktok-secret"}
LINK = {"app_id": APP["app_id"], "redirect_uri": f"{PUBLIC_URL}/connect/tiktok/callback", "state": "s-1"}
API = "business-api.tiktok.com/open_api/v1.3"


async def code_of(client: Client, *form: tuple[str, str], portal: str = "business-api.tiktok.com/portal/auth") -> str:
    back = (await client.consent(portal, LINK, list(form))).sent_back
    assert set(back) == {"auth_code", "state"}
    return back["auth_code"]


async def exchange(client: Client, code: str, **changed: Any) -> Answer:
    return await client.ask("POST", f"{API}/oauth2/access_token/", json=APP | {"auth_code": code} | changed)


async def token_of(client: Client, *form: tuple[str, str]) -> str:
    token: str = (await exchange(client, await code_of(client, *form))).json["data"]["access_token"]
    return token


async def call(client: Client, path: str, token: str | None, **query: str) -> Answer:
    headers = {} if token is None else {"Access-Token": token}
    return await client.get(f"{API}/{path}", headers=headers, **query)


def said(answer: Answer) -> int:
    """Every outcome has HTTP 200 and the same four keys."""
    assert answer.status == 200
    assert set(answer.json) == {"code", "message", "request_id", "data"}
    code: int = answer.json["code"]
    return code


@pytest.mark.parametrize("portal", ["business-api.tiktok.com/portal/auth", "ads.tiktok.com/marketing_api/auth"])
async def test_token_answer_has_advertisers_and_scope_numbers_and_no_end(client: Client, portal: str) -> None:
    answer = await exchange(client, await code_of(client, portal=portal))
    assert said(answer) == 0
    data = answer.json["data"]
    assert set(data) == {"access_token", "advertiser_ids", "scope"}
    assert len(data["advertiser_ids"]) == 3
    assert data["scope"] == [4, 5, 6, 7]


async def test_a_mode_with_an_end_and_a_refresh_token(client: Client) -> None:
    await client.sim("PUT", "modes/tiktok", {"sends_expiry": True})
    data = (await exchange(client, await code_of(client))).json["data"]
    assert data["expires_in"] == 86_400
    body = APP | {"refresh_token": data["refresh_token"]}
    fresh = await client.ask("POST", f"{API}/oauth2/refresh_token/", json=body)
    assert said(fresh) == 0
    assert said(await client.ask("POST", f"{API}/oauth2/refresh_token/", json=body)) == 40107
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"tiktok-avery-1": 1}
    await client.sim("POST", "clock", {"advance_s": 86_401})
    assert said(await call(client, "user/info/", fresh.json["data"]["access_token"])) == 40102


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"secret": "wrong"}, 40101),
        ({"app_id": "1"}, 40101),
        ({"auth_code": "never"}, 40110),
    ],
)
async def test_wrong_exchange_is_refused_with_status_200(client: Client, changed: dict[str, str], code: int) -> None:
    good = await code_of(client)
    assert (
        said(await client.ask("POST", f"{API}/oauth2/access_token/", json=APP | {"auth_code": good} | changed)) == code
    )
    assert said(await exchange(client, good)) == 0


async def test_a_form_is_not_json_and_a_missing_slash_is_another_path(client: Client) -> None:
    code = await code_of(client)
    assert said(await client.post(f"{API}/oauth2/access_token/", APP | {"auth_code": code})) == 40002
    body = APP | {"auth_code": code}
    assert (await client.ask("POST", f"{API}/oauth2/access_token", json=body)).status == 404


async def test_auth_code_is_single_use_and_short_lived(client: Client) -> None:
    code = await code_of(client)
    await exchange(client, code)
    assert said(await exchange(client, code)) == 40110
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"tiktok-avery-1": 1}
    late = await code_of(client)
    await client.sim("POST", "clock", {"advance_s": 601})
    assert said(await exchange(client, late)) == 40110


async def test_only_the_own_header_works(client: Client) -> None:
    token = await token_of(client)
    assert said(await call(client, "user/info/", token)) == 0
    bearer = await client.get(f"{API}/user/info/", headers={"Authorization": f"Bearer {token}"})
    assert said(bearer) == 40104
    assert said(await call(client, "user/info/", "x")) == 40105


async def test_list_of_now_is_shorter_than_the_token_answer(client: Client) -> None:
    token = await token_of(client)
    lost = client.world.people["avery"].accounts["tiktok"][0].id
    await client.sim("POST", "grants/tiktok/avery/revoke", {"cause": "permission_changed", "account": lost})
    listed = await call(client, "oauth2/advertiser/get/", token, **APP)
    assert len(listed.json["data"]["list"]) == 2
    assert said(await call(client, "campaign/get/", token, advertiser_id=lost)) == 40001
    assert said(await call(client, "campaign/get/", token, advertiser_id="1")) == 40300
    await client.sim("PUT", "modes/tiktok", {"lost_account": 40301})
    assert said(await call(client, "campaign/get/", token, advertiser_id=lost)) == 40301


async def test_list_wants_the_secret_in_the_query(client: Client) -> None:
    token = await token_of(client)
    assert said(await call(client, "oauth2/advertiser/get/", token)) == 40101


async def test_names_come_for_a_json_array_in_a_string(client: Client) -> None:
    token = await token_of(client)
    ids = [a.id for a in client.world.people["avery"].accounts["tiktok"]]
    info = await call(client, "advertiser/info/", token, advertiser_ids=json.dumps(ids))
    assert next(a["name"] for a in info.json["data"]["list"]) == "Northwind Germany"
    assert said(await call(client, "advertiser/info/", token, advertiser_ids=",".join(ids))) == 40002
    assert said(await call(client, "advertiser/info/", token, advertiser_ids=json.dumps(["1"] * 101))) == 40002


async def test_revoke_ends_the_token_with_all_its_advertisers_and_no_other(client: Client) -> None:
    one, two = await token_of(client), await token_of(client)
    body = APP | {"access_token": one}
    revoked = await client.ask("POST", f"{API}/oauth2/revoke_token/", json=body, headers={"Access-Token": one})
    assert said(revoked) == 0
    assert said(await call(client, "user/info/", one)) == 40105
    assert said(await call(client, "user/info/", two)) == 0


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"cause": "user_revoked"}, 40105),
        ({"cause": "platform_enforced"}, 40102),
        ({"cause": "logged_out"}, 40114),
        ({"cause": "user_revoked", "code": 40309}, 40309),
    ],
)
async def test_each_end_has_its_code(client: Client, order: dict[str, Any], code: int) -> None:
    token = await token_of(client)
    await client.sim("POST", "grants/tiktok/avery/revoke", order)
    assert said(await call(client, "user/info/", token)) == code


async def test_rate_limit_and_failures_have_status_200_too(client: Client) -> None:
    token = await token_of(client)
    for order, code in (
        ({"kind": "rate_limit"}, 40100),
        ({"kind": "rate_limit", "code": 61000}, 61000),
        ({"kind": "status"}, 50000),
        ({"kind": "status", "code": 20001}, 20001),
    ):
        await client.fault(provider="tiktok", count=1, **order)
        assert said(await call(client, "user/info/", token)) == code
    await client.fault(provider="tiktok", count=1, kind="status", status=503)
    assert (await call(client, "user/info/", token)).status == 503


async def test_sandbox_has_no_advertiser_list(client: Client) -> None:
    token = await token_of(client)
    url = "sandbox-ads.tiktok.com/open_api/v1.3/oauth2/advertiser/get/"
    assert said(await client.get(url, headers={"Access-Token": token}, **APP)) == 40002


async def test_wrong_link_and_denial(client: Client) -> None:
    url = "business-api.tiktok.com/portal/auth"
    assert (await client.consent(url, LINK | {"app_id": "1"})).status == 400
    assert (await client.consent(url, LINK | {"redirect_uri": "http://evil.example"})).status == 400
    assert (await client.consent(url, LINK, [("decision", "deny")])).sent_back["error"] == "access_denied"
