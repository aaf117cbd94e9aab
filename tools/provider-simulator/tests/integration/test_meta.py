"""Golden behaviour of Meta, quirk by quirk (platforms/meta.md)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs

import pytest

from provider_simulator.testing import PUBLIC_URL, Answer, Client, Receiver

APP, SECRET = "100000000000001", "sim-meta-app-secret-0123456789abcdef"
APP_TOKEN = f"{APP}|{SECRET}"
REDIRECT = f"{PUBLIC_URL}/connect/meta/callback"
DIALOG = "www.facebook.com/v23.0/dialog/oauth"
GRAPH = "graph.facebook.com/v23.0"
LINK = {
    "client_id": APP,
    "redirect_uri": REDIRECT,
    "state": "s-1",
    "scope": "ads_management,ads_read,business_management",
}


async def code_of(client: Client, *form: tuple[str, str], **link: str) -> str:
    answer = await client.consent(DIALOG, LINK | link, list(form))
    assert answer.sent_back["state"] == "s-1"
    return answer.sent_back["code"]


async def exchange(client: Client, code: str, /, **changed: str) -> Answer:
    given = {"client_id": APP, "client_secret": SECRET, "redirect_uri": REDIRECT, "code": code}
    return await client.get(f"{GRAPH}/oauth/access_token", **(given | changed))


async def swap(client: Client, token: str) -> Answer:
    given = {"client_id": APP, "client_secret": SECRET, "grant_type": "fb_exchange_token", "fb_exchange_token": token}
    return await client.get(f"{GRAPH}/oauth/access_token", **given)


async def long_token(client: Client, *form: tuple[str, str]) -> str:
    short = (await exchange(client, await code_of(client, *form))).json["access_token"]
    token: str = (await swap(client, short)).json["access_token"]
    return token


async def debug(client: Client, token: str) -> dict[str, object]:
    answer = await client.get(f"{GRAPH}/debug_token", input_token=token, access_token=APP_TOKEN)
    assert answer.status == 200
    data: dict[str, object] = answer.json["data"]
    return data


def error_of(answer: Answer) -> tuple[int, int | None]:
    error = answer.json["error"]
    return error["code"], error.get("error_subcode")


async def test_consent_page_names_app_person_scopes_and_accounts(client: Client) -> None:
    page = await client.get(DIALOG, **LINK)
    assert page.status == 200
    for text in ("Wevion asks for access", "Avery Lindt", "Northwind Germany", "ads_management", 'value="deny"'):
        assert text in page.text
    other = await client.get(DIALOG, **LINK, _user="agency")
    assert other.text.count('name="accounts"') == 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "1"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": "https://evil.example/"},
        {"scope": "ads_read,do_everything"},
        {"response_type": "token"},
        {"config_id": "77"},
    ],
)
async def test_wrong_link_shows_a_page_and_never_redirects(client: Client, wrong: dict[str, str]) -> None:
    answer = await client.consent(DIALOG, LINK | wrong)
    assert answer.status == 400
    assert "Location" not in answer.headers
    assert "simulator" in answer.text


async def test_denial_comes_back_with_state(client: Client) -> None:
    back = (await client.consent(DIALOG, LINK, [("decision", "deny")])).sent_back
    assert (back["error"], back["error_reason"], back["state"]) == ("access_denied", "user_denied", "s-1")


@pytest.mark.parametrize(
    "form", [("user", "nobody"), ("decision", "perhaps"), ("accounts", "act_1"), ("scopes", "catalog_management")]
)
async def test_a_form_that_no_person_could_send_is_refused(client: Client, form: tuple[str, str]) -> None:
    assert (await client.consent(DIALOG, LINK, [form])).status == 400


async def test_code_then_short_then_long_token(client: Client) -> None:
    short = await exchange(client, await code_of(client))
    assert short.json["expires_in"] == 5400
    assert "refresh_token" not in short.json
    long = await swap(client, short.json["access_token"])
    assert long.json["expires_in"] == 5_183_944
    assert long.json["access_token"].startswith("EAA")
    assert long.json["access_token"].isalnum()
    again = await swap(client, long.json["access_token"])
    assert again.json["access_token"] != long.json["access_token"]


async def test_exchange_is_accepted_by_post_with_json_and_query(client: Client) -> None:
    body = {"client_id": APP, "client_secret": SECRET, "redirect_uri": REDIRECT, "code": await code_of(client)}
    by_json = await client.ask("POST", f"{GRAPH}/oauth/access_token", json=body)
    assert by_json.status == 200
    query = {"client_id": APP, "client_secret": SECRET, "grant_type": "fb_exchange_token"}
    query["fb_exchange_token"] = by_json.json["access_token"]
    assert (await client.ask("POST", f"{GRAPH}/oauth/access_token", params=query)).status == 200


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_secret": "wrong"}, (101, None)),
        ({"client_id": "1"}, (101, None)),
        ({"redirect_uri": REDIRECT + "?x=1"}, (100, 36008)),
        ({"code": "AQnever"}, (100, None)),
        ({"code_verifier": "v" * 50}, (100, None)),
        ({"grant_type": "password"}, (100, None)),
    ],
)
async def test_wrong_exchange_is_refused_and_the_code_stays_good(
    client: Client, changed: dict[str, str], code: tuple[int, int | None]
) -> None:
    good = await code_of(client)
    refused = await exchange(client, good, **changed)
    assert (refused.status, error_of(refused)) == (400, code)
    assert (await exchange(client, good)).status == 200


async def test_code_is_single_use_and_short_lived(client: Client) -> None:
    code = await code_of(client)
    await exchange(client, code)
    assert error_of(await exchange(client, code)) == (100, 36009)
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"meta-avery-1": 1}
    late = await code_of(client)
    await client.sim("POST", "clock", {"advance_s": 601})
    assert error_of(await exchange(client, late)) == (100, 36007)


async def test_expired_token_cannot_be_exchanged(client: Client) -> None:
    token = await long_token(client)
    await client.sim("POST", "clock", {"advance_s": 5_183_945})
    assert error_of(await swap(client, token)) == (190, 463)
    data = await debug(client, token)
    assert (data["is_valid"], data["error"]["subcode"]) == (False, 463)  # type: ignore[index]


@pytest.mark.parametrize("extends", [True, False])
async def test_exchanging_a_long_token_moves_its_end_or_not(client: Client, extends: bool) -> None:
    await client.sim("PUT", "modes/meta", {"exchange_extends": extends})
    token = await long_token(client)
    await client.sim("POST", "clock", {"advance_s": 86_400})
    before = await debug(client, token)
    fresh = (await swap(client, token)).json["access_token"]
    after = await debug(client, fresh)
    moved = int(str(after["expires_at"])) - int(str(before["expires_at"]))
    assert moved == pytest.approx(86_400 if extends else 0, abs=2)
    assert (await debug(client, token))["is_valid"]


async def test_two_clocks(client: Client) -> None:
    await client.sim("PUT", "lifetimes/meta", {"data_access_s": 86_400})
    token = await long_token(client)
    await client.sim("POST", "clock", {"advance_s": 86_401})
    data = await debug(client, token)
    assert data["is_valid"] is True
    assert int(str(data["data_access_expires_at"])) < int(str(data["expires_at"]))
    assert error_of(await client.get(f"{GRAPH}/me/adaccounts", access_token=token))[0] == 10


async def test_accounts_are_paged_with_a_working_next_link(client: Client) -> None:
    token = await long_token(client, ("user", "agency"))
    first = await client.get(f"{GRAPH}/me/adaccounts", access_token=token, limit="15", fields="name,account_status")
    assert len(first.json["data"]) == 15
    second = await client.ask("GET", first.json["paging"]["next"])
    assert len(second.json["data"]) == 5
    assert "next" not in second.json["paging"]
    ids = {a["id"] for a in first.json["data"] + second.json["data"]}
    assert len(ids) == 20
    usage = json.loads(first.headers["X-App-Usage"])
    assert set(usage) == {"call_count", "total_cputime", "total_time"}


async def test_chosen_accounts_are_the_only_ones_and_debug_token_lists_them(client: Client) -> None:
    chosen, other = (a.id for a in client.world.people["avery"].accounts["meta"][:2])
    token = await long_token(client, ("accounts", chosen))
    data = await debug(client, token)
    assert {"scope": "ads_read", "target_ids": [chosen.removeprefix("act_")]} in data["granular_scopes"]  # type: ignore[operator]
    listed = (await client.get(f"{GRAPH}/me/adaccounts", access_token=token)).json["data"]
    assert [a["id"] for a in listed] == [chosen]
    assert error_of(await client.get(f"{GRAPH}/{other}", access_token=token))[0] == 200


async def test_unticked_scope_is_not_granted(client: Client) -> None:
    token = await long_token(client, ("scopes", "business_management"))
    assert (await debug(client, token))["scopes"] == ["public_profile", "business_management"]
    assert error_of(await client.get(f"{GRAPH}/me/adaccounts", access_token=token))[0] == 294


async def test_appsecret_proof_belongs_to_one_token(client: Client) -> None:
    one, two = await long_token(client), await long_token(client)
    proof = hmac.new(SECRET.encode(), one.encode(), hashlib.sha256).hexdigest()
    assert (await client.get(f"{GRAPH}/me", access_token=one, appsecret_proof=proof)).status == 200
    assert error_of(await client.get(f"{GRAPH}/me", access_token=two, appsecret_proof=proof)) == (100, None)
    await client.sim("PUT", "modes/meta", {"require_appsecret_proof": True})
    assert error_of(await client.get(f"{GRAPH}/me", access_token=one)) == (100, None)


@pytest.mark.parametrize(
    ("order", "subcode"),
    [
        ({"cause": "user_revoked"}, 458),
        ({"cause": "platform_enforced"}, 459),
        ({"cause": "compromise"}, 460),
        ({"cause": "logged_out"}, 467),
        ({"cause": "user_revoked", "code": 492}, 492),
    ],
)
async def test_each_end_has_its_subcode(client: Client, order: dict[str, object], subcode: int) -> None:
    token = await long_token(client)
    assert (await client.sim("POST", "grants/meta/avery/revoke", order))["changed"] == ["meta-avery-1"]
    assert error_of(await swap(client, token)) == (190, subcode)
    assert (await debug(client, token))["is_valid"] is False


async def test_error_data_may_be_a_json_string(client: Client) -> None:
    token = await long_token(client)
    await client.sim("PUT", "modes/meta", {"error_data_as_string": True})
    await client.sim("POST", "grants/meta/avery/revoke", {"cause": "platform_enforced"})
    data = (await client.get(f"{GRAPH}/me", access_token=token)).json["error"]["error_data"]
    assert "checkpoint" in json.loads(data)["url"]


async def test_a_lost_account_leaves_the_list_and_stays_lost_after_a_new_consent(client: Client) -> None:
    token = await long_token(client)
    lost = client.world.people["avery"].accounts["meta"][1].id
    await client.sim("POST", "grants/meta/avery/revoke", {"cause": "permission_changed", "account": lost})
    for alive in (token, await long_token(client)):
        listed = (await client.get(f"{GRAPH}/me/adaccounts", access_token=alive)).json["data"]
        assert len(listed) == 2
        assert error_of(await client.get(f"{GRAPH}/{lost}", access_token=alive)) == (200, None)
    await client.sim("PUT", "modes/meta", {"lost_account": "100/33"})
    assert error_of(await client.get(f"{GRAPH}/{lost}", access_token=token)) == (100, 33)
    assert (await debug(client, token))["is_valid"] is True


async def test_delete_permissions_ends_all_tokens_of_the_person(client: Client) -> None:
    one, two = await long_token(client), await long_token(client)
    answer = await client.ask("DELETE", f"{GRAPH}/me/permissions", params={"access_token": one})
    assert answer.text == "true"
    assert error_of(await client.get(f"{GRAPH}/me", access_token=two)) == (190, 458)
    other = await long_token(client, ("user", "jordan"))
    assert (await client.get(f"{GRAPH}/me", access_token=other)).status == 200


async def test_one_permission_can_be_deleted_with_the_app_token(client: Client) -> None:
    token = await long_token(client)
    user_id = (await debug(client, token))["user_id"]
    url = f"{GRAPH}/{user_id}/permissions/ads_management"
    assert (await client.ask("DELETE", url, params={"access_token": APP_TOKEN})).text == "true"
    assert (await debug(client, token))["scopes"] == ["public_profile", "ads_read", "business_management"]


async def test_deauthorize_callback_is_signed_over_the_encoded_payload(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", f"apps/meta/{APP}", {"webhook_url": receiver.url, "data_deletion_url": receiver.url})
    token = await long_token(client)
    user_id = (await debug(client, token))["user_id"]
    await client.sim("POST", "grants/meta/avery/revoke", {"data_deletion": True})
    await receiver.until(2)
    signed = parse_qs(receiver.got[0][1].decode())["signed_request"][0]
    signature, payload = signed.split(".")
    wanted = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == wanted
    data = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (data["user_id"], data["algorithm"]) == (user_id, "HMAC-SHA256")


async def test_deauthorize_callback_can_be_forged_and_other_ends_send_none(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", f"apps/meta/{APP}", {"webhook_url": receiver.url})
    await long_token(client)
    await client.sim("POST", "grants/meta/avery/revoke", {"cause": "compromise"})
    await long_token(client)
    await client.sim("POST", "grants/meta/avery/revoke", {"webhook": "bad_signature"})
    await receiver.until(1)
    signature, payload = parse_qs(receiver.got[0][1].decode())["signed_request"][0].split(".")
    wanted = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") != wanted
    assert len((await client.sim("GET", "webhooks", provider="meta"))["deliveries"]) == 1


async def test_system_user_token_has_no_end_or_sixty_days(client: Client) -> None:
    admin = await long_token(client)
    url = f"{GRAPH}/123456/system_user_access_tokens"
    given = {"access_token": admin, "system_user_id": "555", "scope": "ads_read"}
    lasting = await debug(client, (await client.post(url, given)).json["access_token"])
    assert (lasting["expires_at"], lasting["type"], lasting["user_id"]) == (0, "SYSTEM_USER", "555")
    bounded = await client.post(url, given | {"set_token_expires_in_60_days": "true"})
    assert int(str((await debug(client, bounded.json["access_token"]))["expires_at"])) > 0


async def test_login_for_business_grants_all_or_nothing(client: Client) -> None:
    configuration = {"configurations": {"77": {"permissions": ["ads_management", "business_management"]}}}
    await client.sim("PUT", f"apps/meta/{APP}", {"options": configuration})
    some = await client.consent(DIALOG, LINK | {"config_id": "77"}, [("scopes", "ads_management")])
    assert some.sent_back["error"] == "access_denied"
    assert await code_of(client, config_id="77")


async def test_rate_limit_tells_minutes_in_one_header_and_seconds_in_another(client: Client) -> None:
    token = await long_token(client)
    account = client.world.people["avery"].accounts["meta"][0].id
    await client.fault(provider="meta", endpoint="api", kind="rate_limit", retry_after=600)
    refused = await client.get(f"{GRAPH}/{account}/insights", access_token=token)
    assert error_of(refused) == (80004, 2446079)
    case = json.loads(refused.headers["X-Business-Use-Case-Usage"])[account.removeprefix("act_")][0]
    assert case["estimated_time_to_regain_access"] == 10
    assert json.loads(refused.headers["X-Ad-Account-Usage"])["reset_time_duration"] == 600


async def test_success_status_with_an_error_and_with_service_unavailable(client: Client) -> None:
    token = await long_token(client)
    await client.fault(provider="meta", kind="status", status=200, code="190/463", count=1)
    failed = await client.get(f"{GRAPH}/me", access_token=token)
    assert (failed.status, error_of(failed)) == (200, (190, 463))
    await client.fault(provider="meta", kind="status", status=200, count=1)
    assert (await client.get(f"{GRAPH}/me", access_token=token)).text == "Service Unavailable"


@pytest.mark.parametrize(
    ("path", "code"),
    [("v3.0/me", 2635), ("latest/me", 2500), ("v23.0/a/b/c/d", 2500), ("v23.0/me", 2500), ("v23.0/not-a-node", 803)],
)
async def test_wrong_paths_and_missing_tokens(client: Client, path: str, code: int) -> None:
    token = {} if path == "v23.0/me" else {"access_token": await long_token(client)}
    answer = await client.get(f"graph.facebook.com/{path}", **token)
    assert (answer.status, error_of(answer)[0]) == (400, code)


async def test_debug_token_says_so_with_status_200_for_a_token_that_never_was(client: Client) -> None:
    data = await debug(client, "EAAnothing")
    assert (data["is_valid"], data["error"]["code"]) == (False, 190)  # type: ignore[index]
    await client.sim("PUT", "modes/meta", {"debug_foreign_app": "999"})
    assert (await debug(client, await long_token(client)))["app_id"] == "999"


async def test_what_was_declined_is_asked_again_only_with_rerequest_and_is_then_added(client: Client) -> None:
    token = await long_token(client, ("scopes", "ads_read"), ("scopes", "business_management"))
    assert (await debug(client, token))["scopes"] == ["public_profile", "ads_read", "business_management"]
    shown = (await client.get(f"{GRAPH}/me/permissions", access_token=token)).json["data"]
    assert {"permission": "ads_management", "status": "declined"} in shown
    page = await client.get(DIALOG, **LINK)
    assert 'value="ads_management"' not in page.text
    again = await client.consent(DIALOG, LINK, [("scopes", "ads_management")])
    assert again.status == 400, "what the page does not show cannot be ticked"
    await code_of(client)
    assert "ads_management" not in (await debug(client, token))["scopes"]  # type: ignore[operator]
    page = await client.get(DIALOG, **LINK, auth_type="rerequest")
    assert 'value="ads_management"' in page.text
    await code_of(client, scope="ads_management", auth_type="rerequest")
    assert (await debug(client, token))["scopes"] == [
        "public_profile",
        "ads_read",
        "business_management",
        "ads_management",
    ]


async def test_a_permission_that_was_taken_back_counts_as_declined(client: Client) -> None:
    token = await long_token(client)
    await client.sim("POST", "grants/meta/avery/revoke", {"cause": "permission_changed", "scope": "ads_read"})
    await code_of(client)
    assert "ads_read" not in (await debug(client, token))["scopes"]  # type: ignore[operator]
    await code_of(client, scope="ads_read", auth_type="rerequest")
    assert "ads_read" in (await debug(client, token))["scopes"]  # type: ignore[operator]
