"""Golden behaviour of Google's OAuth, Ads, Drive and RISC, quirk by quirk (platforms/google.md)."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import jwt
import pytest

from provider_simulator.platforms.google_ads import manager_of
from provider_simulator.testing import CHALLENGE, PUBLIC_URL, VERIFIER, Answer, Client, Receiver

ADS, ADS_SECRET = "100000000001-ads.apps.googleusercontent.com", "GOCSPX-sim-google-ads"
DRIVE, DRIVE_SECRET = "100000000002-drive.apps.googleusercontent.com", "GOCSPX-sim-google-drive"
AUTH = "accounts.google.com/o/oauth2/v2/auth"
TOKEN = "oauth2.googleapis.com/token"
ADWORDS, READONLY = "https://www.googleapis.com/auth/adwords", "https://www.googleapis.com/auth/drive.readonly"
OFFLINE = {"access_type": "offline", "prompt": "consent"}


class Product:
    """One of the two products: its app and what it asks for."""

    def __init__(self, provider: str, client_id: str, secret: str, scope: str) -> None:
        self.id, self.client_id, self.secret, self.scope = provider, client_id, secret, scope
        self.redirect = f"{PUBLIC_URL}/connect/{provider}/callback"

    @property
    def link(self) -> dict[str, str]:
        asked = {"client_id": self.client_id, "redirect_uri": self.redirect, "response_type": "code"}
        return asked | {"scope": f"openid email {self.scope}", "state": "s-1"} | OFFLINE

    async def code(self, client: Client, *form: tuple[str, str], **link: str) -> str:
        return (await client.consent(AUTH, self.link | link, list(form))).sent_back["code"]

    async def exchange(self, client: Client, code: str, **changed: str) -> Answer:
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect}
        return await client.post(TOKEN, given | self.app | changed)

    async def refresh(self, client: Client, token: str, **changed: str) -> Answer:
        return await client.post(TOKEN, {"grant_type": "refresh_token", "refresh_token": token} | self.app | changed)

    async def tokens(self, client: Client, *form: tuple[str, str], **link: str) -> dict[str, Any]:
        answered = await self.exchange(client, await self.code(client, *form, **link))
        assert answered.status == 200, answered.text
        tokens: dict[str, Any] = answered.json
        return tokens

    @property
    def app(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.secret}


ads = Product("google-ads", ADS, ADS_SECRET, ADWORDS)
drive = Product("google-drive", DRIVE, DRIVE_SECRET, READONLY)


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]


async def test_offline_consent_gives_a_refresh_token_and_an_id_token(client: Client) -> None:
    tokens = await ads.tokens(client)
    assert tokens["expires_in"] == 3599
    assert tokens["refresh_token"].startswith("1//")
    assert tokens["access_token"].startswith("ya29.")
    assert set(tokens["scope"].split()) == {"openid", "https://www.googleapis.com/auth/userinfo.email", ADWORDS}
    keys = (await client.get("www.googleapis.com/oauth2/v3/certs")).json["keys"]
    claims = jwt.decode(
        tokens["id_token"], jwt.PyJWK(keys[0]), algorithms=["RS256"], audience=ADS, issuer="https://accounts.google.com"
    )
    assert claims["sub"] == client.world.people["avery"].subject("google")


async def test_refresh_keeps_the_refresh_token_and_may_be_repeated(client: Client) -> None:
    tokens = await ads.tokens(client)
    for _ in range(2):
        fresh = await ads.refresh(client, tokens["refresh_token"])
        assert fresh.status == 200
        assert "refresh_token" not in fresh.json
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {}


async def test_second_consent_without_prompt_gives_no_refresh_token(client: Client) -> None:
    assert "refresh_token" in await ads.tokens(client, prompt="")
    assert "refresh_token" not in await ads.tokens(client, prompt="")
    assert "refresh_token" in await ads.tokens(client)
    assert "refresh_token" not in await ads.tokens(client, ("user", "jordan"), access_type="online")


@pytest.mark.parametrize(("mode", "value"), [("string", "3599"), ("missing", None)])
async def test_expires_in_may_be_a_string_or_missing(client: Client, mode: str, value: str | None) -> None:
    await client.sim("PUT", "modes/google-ads", {"expires_in": mode})
    assert (await ads.tokens(client)).get("expires_in") == value


async def test_unticked_scope_is_missing_from_the_answer_and_from_the_api(client: Client) -> None:
    tokens = await ads.tokens(client, ("scopes", "email"))
    assert ADWORDS not in tokens["scope"]
    refused = await accessible(client, tokens["access_token"])
    assert refused.status == 403


async def test_included_scopes_come_from_the_whole_project(client: Client) -> None:
    await client.sim("PUT", f"apps/google-drive/{DRIVE}", {"options": {"project": "wevion-ads"}})
    await drive.tokens(client)
    assert READONLY in (await ads.tokens(client, include_granted_scopes="true"))["scope"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_id": "unknown"}, (401, "invalid_client")),
        ({"redirect_uri": "http://app.example/other"}, (400, "redirect_uri_mismatch")),
        ({"code": "4/never"}, (400, "invalid_grant")),
        ({"code_verifier": VERIFIER}, (400, "invalid_grant")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
async def test_wrong_exchange_is_refused_and_the_code_stays_good(
    client: Client, changed: dict[str, str], expected: tuple[int, str]
) -> None:
    code = await ads.code(client)
    wrong = {"grant_type": "authorization_code", "code": code, "redirect_uri": ads.redirect} | ads.app | changed
    assert said(await client.post(TOKEN, wrong)) == expected
    assert (await ads.exchange(client, code)).status == 200


async def test_pkce_is_checked_when_it_was_asked_for(client: Client) -> None:
    challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = await ads.code(client, **challenge)
    assert said(await ads.exchange(client, code)) == (400, "invalid_grant")
    assert said(await ads.exchange(client, code, code_verifier="w" * 64)) == (400, "invalid_grant")
    assert (await ads.exchange(client, code, code_verifier=VERIFIER)).status == 200


async def test_reused_code_is_invalid_grant_and_counted(client: Client) -> None:
    code = await ads.code(client)
    await ads.exchange(client, code)
    assert said(await ads.exchange(client, code)) == (400, "invalid_grant")
    assert (await client.sim("GET", "ledger"))["presented_twice"] == {"google-ads-avery-1": 1}


@pytest.mark.parametrize(
    ("order", "error", "subtype"),
    [
        ({"cause": "user_revoked"}, "invalid_grant", None),
        ({"cause": "platform_enforced"}, "invalid_grant", "invalid_rapt"),
        ({"cause": "platform_enforced", "code": "rapt_required"}, "invalid_grant", "rapt_required"),
        ({"cause": "platform_enforced", "code": "admin_policy_enforced"}, "admin_policy_enforced", None),
        ({"cause": "account_deleted"}, "invalid_grant", None),
    ],
)
async def test_each_end_has_its_words(client: Client, order: dict[str, str], error: str, subtype: str | None) -> None:
    tokens = await ads.tokens(client)
    await client.sim("POST", "grants/google-ads/avery/revoke", order)
    refused = await ads.refresh(client, tokens["refresh_token"])
    assert (refused.status, refused.json["error"], refused.json.get("error_subtype")) == (400, error, subtype)


async def test_aliases_of_the_token_url_and_basic(client: Client) -> None:
    tokens = await ads.tokens(client)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for url in ("accounts.google.com/o/oauth2/token", "www.googleapis.com/oauth2/v3/token"):
        assert (await client.post(url, form | ads.app)).status == 200
    basic = {"Authorization": aiohttp.encode_basic_auth(ADS, ADS_SECRET)}
    assert (await client.post(TOKEN, form, headers=basic)).status == 200


async def test_testing_apps_lose_their_refresh_token_after_seven_days(client: Client) -> None:
    await client.sim("PUT", "modes/google-ads", {"testing": True, "time_limited": True})
    tokens = await ads.tokens(client)
    assert tokens["refresh_token_expires_in"] == 7 * 86_400
    await client.sim("POST", "clock", {"advance_s": 7 * 86_400 - 60})
    assert (await ads.refresh(client, tokens["refresh_token"])).status == 200
    await client.sim("POST", "clock", {"advance_s": 120})
    assert said(await ads.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")


async def test_unused_for_six_months(client: Client) -> None:
    tokens = await ads.tokens(client)
    await client.sim("POST", "clock", {"advance_s": 183 * 86_400})
    assert said(await ads.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")


async def test_the_101st_refresh_token_silently_ends_the_oldest(client: Client) -> None:
    oldest = (await ads.tokens(client))["refresh_token"]
    second = (await ads.tokens(client))["refresh_token"]
    for _ in range(98):
        await ads.tokens(client)
    assert (await ads.refresh(client, oldest)).status == 200
    await ads.tokens(client)
    assert said(await ads.refresh(client, oldest)) == (400, "invalid_grant")
    assert (await ads.refresh(client, second)).status == 200


@pytest.mark.parametrize("together", [True, False])
async def test_revoke_ends_the_whole_project(client: Client, together: bool) -> None:
    if together:
        await client.sim("PUT", f"apps/google-drive/{DRIVE}", {"options": {"project": "wevion-ads"}})
    a, d = await ads.tokens(client), await drive.tokens(client)
    revoked = await client.ask("POST", "oauth2.googleapis.com/revoke", params={"token": d["access_token"]})
    assert revoked.status == 200
    assert said(await drive.refresh(client, d["refresh_token"])) == (400, "invalid_grant")
    assert (await ads.refresh(client, a["refresh_token"])).status == (400 if together else 200)
    again = await client.post("oauth2.googleapis.com/revoke", {"token": d["access_token"]})
    assert said(again) == (400, "invalid_token")


async def test_wrong_links_show_a_page(client: Client) -> None:
    for wrong in ({"redirect_uri": ads.redirect + "/"}, {"scope": "openid teapot"}, {"response_type": "token"}):
        answer = await client.consent(AUTH, ads.link | wrong)
        assert (answer.status, "Location" in answer.headers) == (400, False)
    denied = await client.consent(AUTH, ads.link, [("decision", "deny")])
    assert denied.sent_back == {"error": "access_denied", "state": "s-1"}


async def test_tokeninfo_and_userinfo(client: Client) -> None:
    tokens = await ads.tokens(client)
    info = await client.get("oauth2.googleapis.com/tokeninfo", access_token=tokens["access_token"])
    assert (info.json["aud"], info.json["email_verified"]) == (ADS, "true")
    assert (await client.get("oauth2.googleapis.com/tokeninfo", access_token="x")).status == 400
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    person = await client.get("openidconnect.googleapis.com/v1/userinfo", headers=bearer)
    assert person.json["email"] == "avery@northwind.example"


async def test_bodies_that_are_not_json_and_a_502(client: Client) -> None:
    tokens = await ads.tokens(client)
    await client.fault(provider="google-ads", endpoint="token", kind="html", count=1)
    answer = await ads.refresh(client, tokens["refresh_token"])
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    await client.fault(provider="google-ads", kind="status", body="Not now", content_type="text/plain", count=1)
    assert (await ads.refresh(client, tokens["refresh_token"])).text == "Not now"
    await client.fault(provider="google-ads", endpoint="token", kind="status", status=500, count=1)
    assert said(await ads.refresh(client, tokens["refresh_token"])) == (500, "internal_failure")


async def test_faults_tell_the_two_products_apart(client: Client) -> None:
    a, d = await ads.tokens(client), await drive.tokens(client)
    await client.fault(provider="google-drive", endpoint="token", kind="rate_limit")
    assert (await ads.refresh(client, a["refresh_token"])).status == 200
    assert said(await drive.refresh(client, d["refresh_token"])) == (429, "rate_limit_exceeded")


async def test_too_many_new_users_at_the_consent_screen(client: Client) -> None:
    await client.fault(provider="google-ads", endpoint="authorize", kind="rate_limit")
    answer = await client.get(AUTH, **ads.link)
    assert (answer.status, "rate_limit_exceeded" in answer.text) == (403, True)


# -- RISC


async def events(client: Client, receiver: Receiver, count: int) -> list[dict[str, Any]]:
    await receiver.until(count)
    configuration = (await client.get("accounts.google.com/.well-known/risc-configuration")).json
    keys = (await client.ask("GET", configuration["jwks_uri"])).json["keys"]
    assert {h["Content-Type"] for h, _ in receiver.got} == {"application/secevent+jwt"}
    return [
        jwt.decode(body, jwt.PyJWK(keys[0]), algorithms=["RS256"], audience=ADS, issuer=configuration["issuer"])
        for _, body in receiver.got
    ]


async def listening(client: Client, receiver: Receiver) -> None:
    await client.sim("PUT", f"apps/google-ads/{ADS}", {"webhook_url": receiver.url})


async def test_risc_event_names_the_subject_and_comes_twice_with_one_jti(client: Client, receiver: Receiver) -> None:
    await listening(client, receiver)
    await ads.tokens(client)
    await client.sim("POST", "grants/google-ads/avery/revoke", {"webhook": "twice"})
    first, second = await events(client, receiver, 2)
    assert first["jti"] == second["jti"]
    assert "exp" not in first
    (name, event), *_ = first["events"].items()
    assert name.endswith("/oauth/event-type/tokens-revoked")
    assert event["subject"]["sub"] == client.world.people["avery"].subject("google")


async def test_risc_may_name_one_refresh_token_by_its_prefix(client: Client, receiver: Receiver) -> None:
    await listening(client, receiver)
    await client.sim("PUT", "modes/google-ads", {"risc_names_token": True})
    tokens = await ads.tokens(client)
    await client.sim("POST", "grants/google-ads/avery/revoke", {})
    (event,) = await events(client, receiver, 1)
    subject = next(iter(event["events"].values()))["subject"]
    assert subject["token"] == tokens["refresh_token"][:16]


async def test_compromise_is_an_account_disabled_by_hijacking(client: Client, receiver: Receiver) -> None:
    await listening(client, receiver)
    await ads.tokens(client)
    await client.sim("POST", "grants/google-ads/avery/revoke", {"cause": "compromise"})
    (event,) = await events(client, receiver, 1)
    assert next(iter(event["events"].values()))["reason"] == "hijacking"


async def test_forged_event_does_not_verify_and_uncovered_people_have_none(client: Client, receiver: Receiver) -> None:
    await listening(client, receiver)
    await ads.tokens(client, scope=ADWORDS)
    await client.sim("POST", "grants/google-ads/avery/revoke", {})
    await ads.tokens(client)
    await client.sim("POST", "grants/google-ads/avery/revoke", {"webhook": "bad_signature"})
    with pytest.raises(jwt.InvalidSignatureError):
        await events(client, receiver, 1)
    assert len((await client.sim("GET", "webhooks", provider="google-ads"))["deliveries"]) == 1


# -- Google Ads

GOOGLEADS = "googleads.googleapis.com/v25"


def ads_headers(token: str, **more: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}", "developer-token": "sim-developer-token"}
    return headers | {k.replace("_", "-"): v for k, v in more.items()}


async def accessible(client: Client, token: str) -> Answer:
    return await client.get(f"{GOOGLEADS}/customers:listAccessibleCustomers", headers=ads_headers(token))


async def search(client: Client, token: str, customer: str, query: str, **headers: str) -> Answer:
    url = f"{GOOGLEADS}/customers/{customer}/googleAds:search"
    return await client.ask("POST", url, json={"query": query}, headers=ads_headers(token, **headers))


def ads_error(answer: Answer) -> dict[str, str]:
    code: dict[str, str] = answer.json["error"]["details"][0]["errors"][0]["errorCode"]
    return code


CLIENTS = "SELECT customer_client.id FROM customer_client"
CUSTOMER = "SELECT customer.id, customer.status FROM customer"


async def test_direct_customers_and_children_come_from_two_calls(client: Client) -> None:
    token = (await ads.tokens(client))["access_token"]
    person = client.world.people["avery"]
    manager = manager_of(person)
    direct = (await accessible(client, token)).json["resourceNames"]
    children = [a.id for a in person.accounts["google-ads"] if a.extra["managed"]]
    assert f"customers/{manager}" in direct
    assert len(direct) == 3
    rows = (await search(client, token, manager, CLIENTS)).json["results"]
    assert [(r["customerClient"]["id"], r["customerClient"]["level"]) for r in rows] == [
        (manager, "0"),
        *((c, "1") for c in children),
    ]
    lost = children[0]
    await client.sim("POST", "grants/google-ads/avery/revoke", {"cause": "permission_changed", "account": lost})
    assert len((await search(client, token, manager, CLIENTS)).json["results"]) == 2
    refused = await search(client, token, lost, CUSTOMER, login_customer_id=manager)
    assert ads_error(refused) == {"authorizationError": "USER_PERMISSION_DENIED"}


async def test_a_child_needs_the_login_customer_id(client: Client) -> None:
    token = (await ads.tokens(client))["access_token"]
    person = client.world.people["avery"]
    child = next(a for a in person.accounts["google-ads"] if a.extra["managed"])
    refused = await search(client, token, child.id, CUSTOMER)
    assert (refused.status, ads_error(refused)) == (403, {"authorizationError": "USER_PERMISSION_DENIED"})
    good = await search(client, token, child.id, CUSTOMER, login_customer_id=manager_of(person))
    assert good.json["results"][0]["customer"]["id"] == child.id
    await client.sim("PUT", f"people/avery/accounts/google-ads/{child.id}", {"active": False})
    off = await search(client, token, child.id, CUSTOMER, login_customer_id=manager_of(person))
    assert ads_error(off) == {"authorizationError": "CUSTOMER_NOT_ENABLED"}


async def test_ads_refusals_each_by_their_name(client: Client) -> None:
    tokens = await ads.tokens(client)
    url = f"{GOOGLEADS}/customers:listAccessibleCustomers"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert ads_error(await client.get(url, headers=bearer)) == {
        "authenticationError": "DEVELOPER_TOKEN_PARAMETER_MISSING"
    }
    wrong = await client.get(url, headers=bearer | {"developer-token": "x"})
    assert ads_error(wrong) == {"authenticationError": "DEVELOPER_TOKEN_INVALID"}
    assert ads_error(await accessible(client, "x")) == {"authenticationError": "OAUTH_TOKEN_INVALID"}
    nobody = (await ads.tokens(client, ("user", "newcomer")))["access_token"]
    assert ads_error(await accessible(client, nobody)) == {"authenticationError": "NOT_ADS_USER"}
    await client.sim("POST", "clock", {"advance_s": 3600})
    assert ads_error(await accessible(client, tokens["access_token"])) == {"authenticationError": "OAUTH_TOKEN_EXPIRED"}
    fresh = (await ads.refresh(client, tokens["refresh_token"])).json["access_token"]
    await client.sim("POST", "grants/google-ads/avery/revoke", {})
    assert ads_error(await accessible(client, fresh)) == {"authenticationError": "OAUTH_TOKEN_REVOKED"}


async def test_quota_errors_say_how_long_and_whose(client: Client) -> None:
    token = (await ads.tokens(client))["access_token"]
    await client.fault(provider="google-ads", endpoint="accounts", kind="rate_limit", retry_after=42, count=1)
    refused = await accessible(client, token)
    error = refused.json["error"]["details"][0]["errors"][0]
    assert (refused.status, error["errorCode"]) == (429, {"quotaError": "RESOURCE_EXHAUSTED"})
    assert error["details"]["quotaErrorDetails"]["retryDelay"] == "42s"
    assert error["details"]["quotaErrorDetails"]["rateScope"] == "ACCOUNT"
    await client.fault(provider="google-ads", endpoint="accounts", kind="rate_limit", code="RAW", count=1)
    assert "details" not in (await accessible(client, token)).json["error"]


async def test_token_dies_with_drive_in_the_same_project(client: Client) -> None:
    await client.sim("PUT", f"apps/google-drive/{DRIVE}", {"options": {"project": "wevion-ads"}})
    token = (await ads.tokens(client))["access_token"]
    await drive.tokens(client)
    await client.sim("POST", "grants/google-drive/avery/revoke", {})
    assert ads_error(await accessible(client, token)) == {"authenticationError": "OAUTH_TOKEN_REVOKED"}


# -- Drive


async def get_drive(client: Client, token: str, path: str, **query: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}"}
    return await client.get(f"www.googleapis.com/drive/v3/{path}", headers=headers, **query)


async def test_drive_says_who_it_is_and_wants_fields(client: Client) -> None:
    token = (await drive.tokens(client))["access_token"]
    about = await get_drive(client, token, "about", fields="user")
    assert about.json["user"]["emailAddress"] == "avery@northwind.example"
    assert (await get_drive(client, token, "about")).status == 400
    assert len((await get_drive(client, token, "files")).json["files"]) == 2


def reason(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["errors"][0]["reason"]


async def test_a_403_is_a_rate_limit_or_a_permission(client: Client) -> None:
    token = (await drive.tokens(client))["access_token"]
    for name in ("insufficientFilePermissions", "appNotAuthorizedToFile", "domainPolicy"):
        assert reason(await get_drive(client, token, f"files/{name}")) == (403, name)
    assert reason(await get_drive(client, token, "files/none")) == (404, "notFound")
    await client.fault(provider="google-drive", endpoint="api", kind="rate_limit")
    assert reason(await get_drive(client, token, "files")) == (403, "userRateLimitExceeded")
    await client.sim("PUT", "modes/google-drive", {"drive_rate_limit_status": 429})
    assert (await get_drive(client, token, "files")).status == 429
    await client.sim("DELETE", "faults")
    assert reason(await get_drive(client, "x", "files")) == (401, "authError")


async def test_drive_file_scope_sees_only_what_was_picked(client: Client) -> None:
    scope = "openid email https://www.googleapis.com/auth/drive.file"
    token = (await drive.tokens(client, scope=scope))["access_token"]
    assert (await get_drive(client, token, "files")).json["files"] == []
    assert reason(await get_drive(client, token, "files/sim-report")) == (403, "appNotAuthorizedToFile")


async def test_a_channel_starts_with_sync_and_dies_without_a_notice(client: Client, receiver: Receiver) -> None:
    token = (await drive.tokens(client))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    order = {"id": "c-1", "type": "web_hook", "address": receiver.url}
    made = await client.ask("POST", "www.googleapis.com/drive/v3/changes/watch", json=order, headers=headers)
    await receiver.until(1)
    assert receiver.got[0][0]["X-Goog-Resource-State"] == "sync"
    lives_s = int(made.json["expiration"]) / 1000 - client.world.clock.now()
    assert lives_s == pytest.approx(3600, abs=5)
    await client.sim("POST", "clock", {"advance_s": 3601})
    stop = {"id": "c-1", "resourceId": made.json["resourceId"]}
    fresh = (await drive.tokens(client))["access_token"]
    stopped = await client.ask(
        "POST",
        "www.googleapis.com/drive/v3/channels/stop",
        data=json.dumps(stop),
        headers={"Authorization": f"Bearer {fresh}", "Content-Type": "application/json"},
    )
    assert stopped.status == 404
    assert len(receiver.got) == 1


async def test_search_answers_in_pages_of_a_fixed_size(client: Client) -> None:
    await client.sim("PUT", "modes/google-ads", {"search_page": 3})
    token = (await ads.tokens(client, ("user", "agency")))["access_token"]
    manager = manager_of(client.world.people["agency"])
    url = f"{GOOGLEADS}/customers/{manager}/googleAds:search"
    headers = ads_headers(token, **{"login-customer-id": manager})

    rows, page_token = [], ""
    while True:
        document = {"query": CLIENTS, **({"pageToken": page_token} if page_token else {})}
        body = (await client.ask("POST", url, json=document, headers=headers)).json
        assert len(body["results"]) <= 3
        rows += body["results"]
        if "nextPageToken" not in body:
            break
        page_token = body["nextPageToken"]

    assert len(rows) == len({row["customerClient"]["id"] for row in rows}) > 3
    for wrong in ({"pageToken": "nonsense"}, {"pageSize": 100}):
        refused = await client.ask("POST", url, json={"query": CLIENTS, **wrong}, headers=headers)
        assert refused.status == 400
