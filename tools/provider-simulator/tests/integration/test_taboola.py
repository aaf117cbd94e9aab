"""Golden behaviour of Taboola, quirk by quirk (platforms/taboola.md)."""

from __future__ import annotations

import pytest

from provider_simulator.testing import Answer, Client

CREDENTIALS = {"client_id": "taboola-avery", "client_secret": "secret-avery", "grant_type": "client_credentials"}
BACKSTAGE, OTHER = "backstage.taboola.com/backstage", "authentication.taboola.com/authentication"
JSON = {"Accept": "application/json"}


async def login(client: Client, base: str = BACKSTAGE, **changed: str) -> Answer:
    return await client.post(f"{base}/oauth/token", CREDENTIALS | changed, headers=JSON)


async def api(client: Client, path: str, token: str, base: str = BACKSTAGE, headers: dict[str, str] = JSON) -> Answer:
    return await client.get(f"{base}/api/1.0/{path}", headers=headers | {"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("base", [BACKSTAGE, OTHER])
async def test_each_call_gives_a_fresh_token_of_twelve_hours_on_both_hosts(client: Client, base: str) -> None:
    first, second = await login(client, base), await login(client, base)
    assert set(first.json) == {"access_token", "token_type", "expires_in"}
    assert first.json["expires_in"] == 43_200
    assert first.json["access_token"] != second.json["access_token"]
    for token in (first, second):
        assert (await api(client, "token-details", token.json["access_token"], base)).status == 200
    await client.sim("POST", "clock", {"advance_s": 43_201})
    assert (await api(client, "token-details", first.json["access_token"], base)).status == 401


async def test_errors_are_xml_unless_json_is_asked_for(client: Client) -> None:
    refused = await login(client, client_secret="wrong")
    assert (refused.status, refused.json["error"]) == (400, "invalid_client")
    xml = await client.post(f"{BACKSTAGE}/oauth/token", CREDENTIALS | {"client_secret": "wrong"})
    assert xml.text.startswith("<BadClientCredentialsException><error>invalid_client</error>")
    assert xml.headers["Content-Type"].startswith("application/xml")
    assert (await api(client, "token-details", "x", headers={})).text.startswith("<UnauthorizedException>")


async def test_trailing_slash_is_a_csrf_page(client: Client) -> None:
    answer = await client.post(f"{BACKSTAGE}/oauth/token/", CREDENTIALS, headers=JSON)
    assert (answer.status, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")


@pytest.mark.parametrize("changed", [{"client_id": "taboola-nobody"}, {"client_id": "taboola-avery-2"}])
async def test_unknown_clients_are_refused(client: Client, changed: dict[str, str]) -> None:
    assert (await login(client, **changed)).json["error"] == "invalid_client"


async def test_other_grants_are_refused(client: Client) -> None:
    assert (await login(client, grant_type="password")).json["error"] == "unsupported_grant_type"


async def test_accounts_have_an_alphabetic_id_beside_the_numeric_one(client: Client) -> None:
    token = (await login(client)).json["access_token"]
    listed = (await api(client, "users/current/allowed-accounts", token)).json["results"]
    assert [a["type"] for a in listed] == ["NETWORK", "PARTNER", "PARTNER", "PARTNER"]
    account = listed[1]
    assert isinstance(account["id"], int)
    assert account["account_id"] == "avery-germany-1"
    assert (await api(client, f"{account['account_id']}/campaigns", token)).status == 200
    assert (await api(client, f"{account['id']}/campaigns", token)).status == 404
    network = await api(client, f"{listed[0]['account_id']}/advertisers", token)
    assert len(network.json["results"]) == 3


async def test_an_account_leaves_the_list_while_the_credential_lives(client: Client) -> None:
    token = (await login(client)).json["access_token"]
    order = {"cause": "permission_changed", "account": "avery-france-2"}
    await client.sim("POST", "grants/taboola/avery/revoke", order)
    assert len((await api(client, "users/current/allowed-accounts", token)).json["results"]) == 3
    assert (await api(client, "avery-france-2/campaigns", token)).status == 403
    assert (await login(client)).status == 200


async def test_credentials_taken_back_are_replaced_by_the_next_pair(client: Client) -> None:
    token = (await login(client)).json["access_token"]
    await client.sim("POST", "grants/taboola/avery/revoke", {})
    assert (await login(client)).json["error"] == "invalid_client"
    assert (await api(client, "token-details", token)).status == 401
    fresh = {"client_id": "taboola-avery-2", "client_secret": "secret-avery-2"}
    assert (await login(client, **fresh)).status == 200


async def test_asking_again_is_no_reuse(client: Client) -> None:
    for _ in range(3):
        await login(client)
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {}
    assert [line["outcome"] for line in await client.ledger(provider="taboola")] == ["issued"] * 3


async def test_rate_limit(client: Client) -> None:
    await client.fault(provider="taboola", kind="rate_limit", count=1)
    refused = await login(client)
    assert (refused.status, refused.json) == (429, {"http_status": 429, "message": "Too many requests"})
