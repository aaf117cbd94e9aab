"""Golden behaviour of Stripe Connect, quirk by quirk (platforms/stripe.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from provider_simulator.testing import PUBLIC_URL, Answer, Client, Receiver

CLIENT_ID, KEY, HOOK_SECRET = "ca_SimWevion", "sk_test_SimWevionPlatformKey", "whsec_SimWevionConnect"
REDIRECT = f"{PUBLIC_URL}/connect/stripe/callback"
LINK = {
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "read_write",
    "state": "s-1",
}
AUTHORIZE, TOKEN = "connect.stripe.com/oauth/authorize", "connect.stripe.com/oauth/token"
BEARER = {"Authorization": f"Bearer {KEY}"}


async def code_of(client: Client, *form: tuple[str, str], **link: str) -> str:
    back = (await client.consent(AUTHORIZE, LINK | link, list(form))).sent_back
    assert back["state"] == "s-1"
    return back["code"]


async def exchange(client: Client, code: str) -> Answer:
    return await client.post(TOKEN, {"grant_type": "authorization_code", "code": code}, headers=BEARER)


async def connect(client: Client) -> dict[str, Any]:
    tokens: dict[str, Any] = (await exchange(client, await code_of(client))).json
    return tokens


async def deauthorize(client: Client, account: str, client_id: str = CLIENT_ID) -> Answer:
    form = {"client_id": client_id, "stripe_user_id": account}
    return await client.post("connect.stripe.com/oauth/deauthorize", form, headers=BEARER)


async def probe(client: Client, account: str, key: str = KEY) -> Answer:
    headers = {"Authorization": f"Bearer {key}"}
    return await client.get(f"api.stripe.com/v1/accounts/{account}", headers=headers)


async def test_answer_has_an_account_and_no_end(client: Client) -> None:
    tokens = await connect(client)
    assert set(tokens) == {
        "access_token",
        "scope",
        "livemode",
        "token_type",
        "refresh_token",
        "stripe_user_id",
        "stripe_publishable_key",
    }
    account = client.world.people["avery"].accounts["stripe"][0].id
    assert tokens["stripe_user_id"] == account
    await client.sim("POST", "clock", {"advance_s": 10 * 365 * 86_400})
    assert (await probe(client, account)).json["id"] == account
    assert (await probe(client, account, tokens["access_token"])).status == 200
    own = {"Authorization": f"Bearer {KEY}", "Stripe-Account": account}
    assert (await client.get("api.stripe.com/v1/balance", headers=own)).status == 200


async def test_key_may_be_the_client_secret(client: Client) -> None:
    form = {"grant_type": "authorization_code", "code": await code_of(client), "client_secret": KEY}
    assert (await client.post(TOKEN, form)).status == 200


async def test_second_use_of_a_code_revokes_what_it_gave(client: Client) -> None:
    code = await code_of(client)
    tokens = (await exchange(client, code)).json
    again = await exchange(client, code)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert "All tokens issued with this code have been revoked." in again.json["error_description"]
    assert (await probe(client, tokens["stripe_user_id"])).json["error"]["code"] == "account_invalid"
    assert (await probe(client, tokens["stripe_user_id"], tokens["access_token"])).status == 403


@pytest.mark.parametrize(
    ("form", "key", "expected"),
    [
        ({"grant_type": "authorization_code", "code": "ac_none"}, KEY, (400, "invalid_grant")),
        ({"grant_type": "password"}, KEY, (400, "unsupported_grant_type")),
        ({}, KEY, (400, "invalid_request")),
        ({"grant_type": "authorization_code", "code": "x"}, "sk_test_other", (401, "invalid_client")),
    ],
)
async def test_wrong_token_requests(client: Client, form: dict[str, str], key: str, expected: tuple[int, str]) -> None:
    refused = await client.post(TOKEN, form, headers={"Authorization": f"Bearer {key}"})
    assert (refused.status, refused.json["error"]) == expected


async def test_code_lives_five_minutes_and_keeps_its_mode(client: Client) -> None:
    late = await code_of(client)
    await client.sim("POST", "clock", {"advance_s": 301})
    assert (await exchange(client, late)).json["error"] == "invalid_grant"
    await client.sim("PUT", f"apps/stripe/{CLIENT_ID}", {"options": {"live_secret": "sk_live_x"}})
    form = {"grant_type": "authorization_code", "code": await code_of(client)}
    refused = await client.post(TOKEN, form, headers={"Authorization": "Bearer sk_live_x"})
    assert refused.json["error"] == "invalid_grant"


async def test_refresh_gives_equal_or_lesser_scope(client: Client) -> None:
    tokens = await connect(client)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": "read_only"}
    fresh = await client.post(TOKEN, form, headers=BEARER)
    assert (fresh.json["scope"], fresh.json["refresh_token"]) == ("read_only", tokens["refresh_token"])
    read_only = (await exchange(client, await code_of(client, scope="read_only"))).json["refresh_token"]
    more = {"grant_type": "refresh_token", "refresh_token": read_only, "scope": "read_write"}
    assert (await client.post(TOKEN, more, headers=BEARER)).json["error"] == "invalid_scope"


async def test_deauthorize_acts_on_the_account_and_is_401_when_it_is_gone(client: Client) -> None:
    account = (await connect(client))["stripe_user_id"]
    assert (await deauthorize(client, account, "ca_other")).json["error"] == "invalid_client"
    assert (await deauthorize(client, account)).json == {"stripe_user_id": account}
    again = await deauthorize(client, account)
    assert (again.status, again.json["error"]) == (401, "invalid_client")
    assert "not connected to stripe account" in again.json["error_description"]
    assert (await probe(client, account)).status == 403


async def test_api_errors_are_objects(client: Client) -> None:
    refused = await probe(client, "acct_none", "sk_test_wrong")
    assert (refused.status, refused.json["error"]["type"]) == (401, "invalid_request_error")
    other = client.world.people["jordan"].accounts["stripe"][0].id
    assert (await probe(client, other)).json["error"]["code"] == "account_invalid"


def signed(header: str, body: bytes) -> int:
    """The time of a header of which one `v1` fits."""
    pairs = [part.split("=", 1) for part in header.split(",")]
    moment = next(v for k, v in pairs if k == "t")
    wanted = hmac.new(HOOK_SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert wanted in [v for k, v in pairs if k == "v1"]
    return int(moment)


async def test_event_has_the_account_at_top_level_and_comes_twice(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", f"apps/stripe/{CLIENT_ID}", {"webhook_url": receiver.url})
    account = (await connect(client))["stripe_user_id"]
    await client.sim("POST", "grants/stripe/avery/revoke", {"webhook": "twice"})
    await receiver.until(2)
    assert receiver.got[0][1] == receiver.got[1][1]
    headers, body = receiver.got[0]
    assert signed(headers["Stripe-Signature"], body) == pytest.approx(client.world.clock.now(), abs=5)
    event = json.loads(body)
    assert (event["type"], event["account"]) == ("account.application.deauthorized", account)
    assert event["data"]["object"] == {"id": CLIENT_ID, "object": "application", "name": "Wevion"}


async def test_forged_and_stale_events(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", f"apps/stripe/{CLIENT_ID}", {"webhook_url": receiver.url})
    await connect(client)
    await client.sim("POST", "grants/stripe/avery/revoke", {"webhook": "bad_signature"})
    await receiver.until(1)
    with pytest.raises(AssertionError):
        signed(receiver.got[0][0]["Stripe-Signature"], receiver.got[0][1])
    await connect(client)
    await client.sim("POST", "grants/stripe/avery/revoke", {"webhook": "stale"})
    await receiver.until(2)
    moment = client.world.clock.now()
    assert signed(receiver.got[1][0]["Stripe-Signature"], receiver.got[1][1]) > moment - 60, "each attempt anew"
    assert json.loads(receiver.got[1][1])["created"] < moment - 300, "whenever the event was"


async def test_should_retry_goes_against_the_status(client: Client) -> None:
    await client.sim("PUT", "modes/stripe", {"should_retry": "false", "rate_limit_status": 400})
    await client.fault(provider="stripe", endpoint="identity", kind="status", status=503, count=1)
    failed = await probe(client, "acct_x")
    assert (failed.status, failed.headers["Stripe-Should-Retry"]) == (503, "false")
    await client.fault(provider="stripe", endpoint="identity", kind="rate_limit", count=1)
    limited = await probe(client, "acct_x")
    assert (limited.status, limited.json["error"]["code"]) == (400, "rate_limit")


async def test_wrong_links_denial_and_nobody_to_connect(client: Client) -> None:
    assert (await client.consent(AUTHORIZE, LINK | {"redirect_uri": "http://evil.example"})).status == 400
    assert (await client.consent(AUTHORIZE, LINK, [("user", "newcomer")])).status == 400
    assert (await client.consent(AUTHORIZE, LINK, [("decision", "deny")])).sent_back["error"] == "access_denied"
    default = {k: v for k, v in LINK.items() if k != "redirect_uri"}
    assert (await client.consent(AUTHORIZE, default)).headers["Location"].startswith(REDIRECT)
    assert (await client.consent(AUTHORIZE, LINK | {"scope": "all"})).sent_back["error"] == "invalid_scope"
