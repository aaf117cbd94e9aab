"""Golden behaviour of Snapchat, quirk by quirk (platforms/snapchat.md)."""

from __future__ import annotations

from typing import Any

import pytest

from provider_simulator.testing import CHALLENGE, PUBLIC_URL, VERIFIER, Answer, Client

APP = {"client_id": "5a1e0000-0000-4000-a000-000000000001", "client_secret": "sim-snapchat-secret"}
REDIRECT = f"{PUBLIC_URL}/connect/snapchat/callback"
LINK = {
    "client_id": APP["client_id"],
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "snapchat-marketing-api",
    "state": "s-1",
}
LOGIN, API = "accounts.snapchat.com/login/oauth2", "adsapi.snapchat.com/v1"


async def code_of(client: Client, *form: tuple[str, str]) -> str:
    return (await client.consent(f"{LOGIN}/authorize", LINK, list(form))).sent_back["code"]


async def exchange(client: Client, code: str, **changed: str) -> Answer:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    return await client.post(f"{LOGIN}/access_token", APP | form | changed)


async def tokens_of(client: Client, *form: tuple[str, str]) -> dict[str, Any]:
    tokens: dict[str, Any] = (await exchange(client, await code_of(client, *form))).json
    return tokens


async def refresh(client: Client, token: str, **changed: str) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await client.post(f"{LOGIN}/access_token", APP | form | changed)


async def api(client: Client, path: str, token: str) -> Answer:
    url = path if path.startswith("http") else f"{API}/{path}"
    return await client.get(url, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("lifetime", [1800, 3600])
async def test_token_answer_says_its_own_lifetime(client: Client, lifetime: int) -> None:
    await client.sim("PUT", "lifetimes/snapchat", {"access_s": lifetime})
    tokens = await tokens_of(client)
    assert set(tokens) == {"access_token", "token_type", "scope", "expires_in", "refresh_token"}
    assert tokens["expires_in"] == lifetime


@pytest.mark.parametrize("sent", [True, False])
async def test_refresh_with_and_without_a_refresh_token(client: Client, sent: bool) -> None:
    await client.sim("PUT", "modes/snapchat", {"refresh_token_on_refresh": sent})
    old = (await tokens_of(client))["refresh_token"]
    for _ in range(2):
        assert ("refresh_token" in (await refresh(client, old)).json) is sent
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {}


async def test_a_mode_that_rotates(client: Client) -> None:
    await client.sim("PUT", "modes/snapchat", {"rotates": True})
    old = (await tokens_of(client))["refresh_token"]
    assert (await refresh(client, old)).json["refresh_token"] != old
    assert (await refresh(client, old)).json["error"] == "invalid_grant"
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"snapchat-avery-1": 1}


async def test_pkce_breaks_the_login(client: Client) -> None:
    page = await client.get(f"{LOGIN}/authorize", **LINK, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert page.status == 400
    code = await code_of(client)
    assert (await exchange(client, code, code_verifier=VERIFIER)).status == 400


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"client_secret": "x"}, (401, "invalid_client")),
        ({"redirect_uri": REDIRECT + "/"}, (400, "invalid_grant")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
async def test_wrong_exchange_is_refused(client: Client, changed: dict[str, str], expected: tuple[int, str]) -> None:
    code = await code_of(client)
    refused = await exchange(client, code, **changed)
    assert (refused.status, refused.json["error"]) == expected
    assert (await exchange(client, code)).status == 200
    assert (await exchange(client, code)).json["error"] == "invalid_grant"


async def test_items_are_wrapped_and_pages_linked(client: Client) -> None:
    token = (await tokens_of(client, ("user", "agency")))["access_token"]
    found = (await api(client, "me/organizations", token)).json["organizations"][0]["organization"]
    listed = await api(client, f"organizations/{found['id']}/adaccounts?limit=15", token)
    assert len(listed.json["adaccounts"]) == 15
    rest = await api(client, listed.json["paging"]["next_link"], token)
    assert len(rest.json["adaccounts"]) == 5
    assert rest.json["paging"] == {}
    account = rest.json["adaccounts"][0]["adaccount"]
    assert (await api(client, f"adaccounts/{account['id']}", token)).status == 200


@pytest.mark.parametrize(("shape", "key"), [("display", "display_message"), ("msg", "msg")])
async def test_two_shapes_of_errors(client: Client, shape: str, key: str) -> None:
    await client.sim("PUT", "modes/snapchat", {"error_shape": shape})
    refused = await api(client, "me", "x")
    assert (refused.status, refused.json["request_status"], key in refused.json) == (401, "ERROR", True)


async def test_lost_and_unknown_accounts(client: Client) -> None:
    token = (await tokens_of(client))["access_token"]
    lost = client.world.people["avery"].accounts["snapchat"][0].id
    await client.sim("POST", "grants/snapchat/avery/revoke", {"cause": "permission_changed", "account": lost})
    assert (await api(client, f"adaccounts/{lost}", token)).status == 403
    assert (await api(client, "adaccounts/none", token)).status == 404


async def test_removed_app(client: Client) -> None:
    tokens = await tokens_of(client)
    await client.sim("POST", "grants/snapchat/avery/revoke", {})
    assert (await refresh(client, tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert (await api(client, "me", tokens["access_token"])).json["error_code"] == "E3002"


async def test_token_url_is_throttled_and_fails_at_times(client: Client) -> None:
    old = (await tokens_of(client))["refresh_token"]
    await client.fault(provider="snapchat", endpoint="token", kind="rate_limit", retry_after=30, count=1)
    refused = await refresh(client, old)
    assert refused.status == 429
    assert int(refused.headers["X-Rate-Limit-Reset"]) == pytest.approx(client.world.clock.now() + 30, abs=3)
    await client.fault(provider="snapchat", endpoint="token", kind="status", status=502, count=1)
    assert (await refresh(client, old)).status == 502
    assert (await refresh(client, old)).status == 200


async def test_ten_requests_a_second_per_token_as_an_average(client: Client) -> None:
    token = (await tokens_of(client))["access_token"]
    statuses = [(await api(client, "me", token)).status for _ in range(110)]
    assert 429 in statuses
    await client.sim("POST", "clock", {"advance_s": 11})
    assert (await api(client, "me", token)).status == 200


async def test_organizations_come_in_pages_and_one_may_be_refused(client: Client) -> None:
    modes = {"organizations": 3, "organizations_per_page": 2, "refused_organization": 1}
    await client.sim("PUT", "modes/snapchat", modes)
    token = (await tokens_of(client, ("user", "agency")))["access_token"]

    first = await api(client, "me/organizations", token)
    rest = await api(client, first.json["paging"]["next_link"], token)

    found = [*first.json["organizations"], *rest.json["organizations"]]
    ids = [wrapped["organization"]["id"] for wrapped in found]
    assert (len(set(ids)), rest.json["paging"]) == (3, {})
    answers = [await api(client, f"organizations/{one}/adaccounts", token) for one in ids]
    assert [answer.status for answer in answers] == [200, 403, 200]
    assert [len(answer.json.get("adaccounts", ())) for answer in answers] == [7, 0, 6]


async def test_an_item_of_a_page_may_be_a_failed_request_of_its_own(client: Client) -> None:
    await client.sim("PUT", "modes/snapchat", {"failed_items": 2})
    token = (await tokens_of(client, ("user", "agency")))["access_token"]
    found = (await api(client, "me/organizations", token)).json["organizations"][0]["organization"]

    items = (await api(client, f"organizations/{found['id']}/adaccounts", token)).json["adaccounts"]

    assert [item["sub_request_status"] for item in items] == ["ERROR"] * 2 + ["SUCCESS"] * 18
    assert "adaccount" not in items[0]
