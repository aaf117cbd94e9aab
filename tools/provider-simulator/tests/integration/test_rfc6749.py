"""The provider that follows the RFCs: what a client configured by settings alone meets."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import pytest

from provider_simulator.testing import CHALLENGE, PUBLIC_URL, VERIFIER, Answer, Client

ID, SECRET = "wevion", "sim-rfc6749-secret"
APP = {"client_id": ID, "client_secret": SECRET}
REDIRECT = f"{PUBLIC_URL}/connect/rfc6749/callback"
HOST = "rfc6749.example"
LINK = {
    "client_id": ID,
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "ads.read accounts.read",
    "state": "s-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


async def code_of(client: Client, *form: tuple[str, str], **link: str) -> str:
    back = (await client.consent(f"{HOST}/authorize", LINK | link, list(form))).sent_back
    assert back["state"] == "s-1"
    assert back["iss"].endswith(HOST)
    return back["code"]


async def exchange(client: Client, code: str, **changed: str) -> Answer:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await client.post(f"{HOST}/token", APP | form | changed)


async def tokens_of(client: Client, *form: tuple[str, str]) -> dict[str, Any]:
    tokens: dict[str, Any] = (await exchange(client, await code_of(client, *form))).json
    return tokens


async def refresh(client: Client, token: str, **changed: str) -> Answer:
    return await client.post(f"{HOST}/token", APP | {"grant_type": "refresh_token", "refresh_token": token} | changed)


async def get(client: Client, path: str, token: str) -> Answer:
    return await client.get(f"{HOST}/{path}", headers={"Authorization": f"Bearer {token}"})


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]


async def twice(client: Client) -> dict[str, int]:
    counted: dict[str, int] = (await client.sim("GET", "ledger"))["presented_twice"]
    return counted


async def test_refresh_tokens_rotate_and_each_works_once(client: Client) -> None:
    tokens = await tokens_of(client)
    seen = {tokens["refresh_token"]}
    for _ in range(5):
        fresh = await refresh(client, tokens["refresh_token"])
        tokens = fresh.json
        assert fresh.status == 200
        seen.add(tokens["refresh_token"])
    assert len(seen) == 6
    assert await twice(client) == {}
    assert (await get(client, "api/me", tokens["access_token"])).json["email"] == "avery@northwind.example"


async def test_reuse_ends_the_whole_grant(client: Client) -> None:
    first = await tokens_of(client)
    second = (await refresh(client, first["refresh_token"])).json
    assert said(await refresh(client, first["refresh_token"])) == (400, "invalid_grant")
    assert await twice(client) == {"rfc6749-avery-1": 1}
    assert said(await refresh(client, second["refresh_token"])) == (400, "invalid_grant")
    assert (await get(client, "api/me", second["access_token"])).status == 401
    outcomes = [line["outcome"] for line in await client.ledger(grant="rfc6749-avery-1")]
    assert outcomes == ["issued", "rotated", "refused:reused", "refused:revoked"]


async def test_reuse_within_the_grace_is_forgiven_but_counted(client: Client) -> None:
    await client.sim("PUT", "modes/rfc6749", {"reuse_grace_s": 30})
    first = await tokens_of(client)
    await refresh(client, first["refresh_token"])
    assert (await refresh(client, first["refresh_token"])).status == 200
    assert await twice(client) == {"rfc6749-avery-1": 1}
    await client.sim("POST", "clock", {"advance_s": 31})
    assert said(await refresh(client, first["refresh_token"])) == (400, "invalid_grant")


async def test_two_refreshes_at_once_and_only_one_wins(client: Client) -> None:
    token = (await tokens_of(client))["refresh_token"]
    answers = await asyncio.gather(*(refresh(client, token) for _ in range(5)))
    assert sorted(a.status for a in answers) == [200, 400, 400, 400, 400]
    assert await twice(client) == {"rfc6749-avery-1": 4}


async def test_refresh_token_has_an_end_that_slides_or_not(client: Client) -> None:
    await client.sim("PUT", "lifetimes/rfc6749", {"refresh_s": 1000})
    await client.sim("PUT", "modes/rfc6749", {"sliding": False})
    tokens = await tokens_of(client)
    assert tokens["refresh_token_expires_in"] == 1000
    await client.sim("POST", "clock", {"advance_s": 600})
    second = (await refresh(client, tokens["refresh_token"])).json
    assert second["refresh_token_expires_in"] == pytest.approx(400, abs=3)
    await client.sim("PUT", "modes/rfc6749", {"sliding": True})
    third = (await refresh(client, second["refresh_token"])).json
    assert third["refresh_token_expires_in"] == 1000
    await client.sim("POST", "clock", {"advance_s": 1001})
    assert said(await refresh(client, third["refresh_token"])) == (400, "invalid_grant")


async def test_basic_is_form_urlencoded_first(client: Client) -> None:
    """RFC 6749 section 2.3.1; a secret with reserved characters shows it."""
    await client.sim("PUT", "apps/rfc6749/odd", {"client_secret": "a:b+c/d%", "redirect_uris": [REDIRECT]})
    code = await code_of(client, client_id="odd")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    raw = {"Authorization": aiohttp.encode_basic_auth("odd", "a:b+c/d%")}
    assert said(await client.post(f"{HOST}/token", form, headers=raw)) == (401, "invalid_client")
    encoded = {"Authorization": aiohttp.encode_basic_auth("odd", quote_plus("a:b+c/d%"))}
    both = await client.post(f"{HOST}/token", form | {"client_secret": "x"}, headers=encoded)
    assert said(both) == (400, "invalid_request")
    assert (await client.post(f"{HOST}/token", form, headers=encoded)).status == 200


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"client_secret": "x"}, (401, "invalid_client")),
        ({"code_verifier": "w" * 64}, (400, "invalid_grant")),
        ({"code_verifier": "short"}, (400, "invalid_grant")),
        ({"redirect_uri": REDIRECT + "/"}, (400, "invalid_grant")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"code": "ac_none"}, (400, "invalid_grant")),
    ],
)
async def test_wrong_exchange_is_refused_and_the_code_stays_good(
    client: Client, changed: dict[str, str], expected: tuple[int, str]
) -> None:
    code = await code_of(client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert said(await client.post(f"{HOST}/token", APP | form | changed)) == expected
    assert (await exchange(client, code)).status == 200


async def test_reused_code_ends_what_it_gave(client: Client) -> None:
    code = await code_of(client)
    tokens = (await exchange(client, code)).json
    assert said(await exchange(client, code)) == (400, "invalid_grant")
    assert (await get(client, "api/me", tokens["access_token"])).status == 401


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "ads.read everything"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
async def test_wrong_requests_are_told_to_the_app(client: Client, link: dict[str, str], error: str) -> None:
    back = (await client.consent(f"{HOST}/authorize", LINK | link)).sent_back
    assert (back["error"], back["state"]) == (error, "s-1")


async def test_missing_challenge_denial_and_wrong_redirect(client: Client) -> None:
    bare = {k: v for k, v in LINK.items() if not k.startswith("code_challenge")}
    assert (await client.consent(f"{HOST}/authorize", bare)).sent_back["error"] == "invalid_request"
    denied = await client.consent(f"{HOST}/authorize", LINK, [("decision", "deny")])
    assert denied.sent_back["error"] == "access_denied"
    assert (await client.consent(f"{HOST}/authorize", LINK | {"redirect_uri": "http://evil.example"})).status == 400


async def test_introspection_and_revocation(client: Client) -> None:
    tokens = await tokens_of(client)
    asked = APP | {"token": tokens["access_token"]}
    active = (await client.post(f"{HOST}/introspect", asked)).json
    assert (active["active"], active["client_id"], active["scope"]) == (True, ID, "ads.read accounts.read")
    assert (await client.post(f"{HOST}/introspect", {"token": "x"})).status == 401
    assert (await client.post(f"{HOST}/revoke", APP | {"token": "unknown"})).status == 200
    assert (await client.post(f"{HOST}/revoke", asked)).status == 200
    assert (await client.post(f"{HOST}/introspect", asked)).json == {"active": False}
    assert (await refresh(client, tokens["refresh_token"])).status == 200
    fresh = await tokens_of(client)
    assert (await client.post(f"{HOST}/revoke", APP | {"token": fresh["refresh_token"]})).status == 200
    assert said(await refresh(client, fresh["refresh_token"])) == (400, "invalid_grant")


async def test_metadata_names_working_endpoints(client: Client) -> None:
    metadata = (await client.get(f"{HOST}/.well-known/oauth-authorization-server")).json
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert said(await client.ask("POST", metadata["token_endpoint"], data={})) == (401, "invalid_client")


async def test_accounts_follow_the_pick_and_the_loss(client: Client) -> None:
    one, two = (a.id for a in client.world.people["avery"].accounts["rfc6749"])
    token = (await tokens_of(client, ("accounts", one)))["access_token"]
    assert [a["id"] for a in (await get(client, "api/accounts", token)).json["accounts"]] == [one]
    assert (await get(client, f"api/accounts/{two}", token)).status == 403
    await client.sim("POST", "grants/rfc6749/avery/revoke", {"cause": "permission_changed", "account": one})
    assert (await get(client, f"api/accounts/{one}", token)).status == 403
    assert (await get(client, "api/me", token)).status == 200
