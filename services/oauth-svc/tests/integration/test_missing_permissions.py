"""Less granted than asked, or withdrawn later: what is missing is shown and asked for, and the rest goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth_svc.providers.registry import ProvidersFile, build_providers

if TYPE_CHECKING:
    from tests.conftest import Person, Stage

ADWORDS = "https://www.googleapis.com/auth/adwords"
META_FORM = (("scopes", "ads_read"), ("scopes", "business_management"))


def asked(consent_url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(consent_url).query).items()}


async def link(stage: Stage, person: Person, provider: str) -> str:
    """What opens when the person clicks the link that the connection shows."""
    connection = await stage.connection(person)
    assert connection["fix_url"].endswith(f"/connect/{provider}?connection_id={connection['connection_id']}")
    return await stage.consent_url(person, provider, connection_id=connection["connection_id"])


async def clicked(stage: Stage, person: Person, provider: str, url: str, *form: tuple[str, str]) -> str:
    back = await stage.agree(url, ("user", "avery"), *form)
    reply = await stage.ask("GET", f"/connect/{provider}/callback", person.headers, params=back)
    assert reply.status == 302, reply.text
    return reply.location


async def token_of(stage: Stage, account: dict[str, Any]) -> dict[str, Any]:
    reply = await stage.ask("GET", f"/api/v1/accounts/{account['account_id']}/access-token", stage.service())
    assert reply.status == 200, reply.text
    found: dict[str, Any] = reply.json
    return found


async def test_partial_consent_goes_on_and_the_link_asks_for_the_rest_alone(stage: Stage) -> None:
    person = stage.person()
    reply = await stage.connect(person, "meta", "avery", META_FORM)
    assert "missing_scopes=1" in reply.location
    connection = await stage.connection(person)
    assert connection["status"] == "active"
    assert connection["missing"] == [{"scope": "ads_management", "effect": "Publishing and automation rules"}]
    assert connection["summary"] == "Meta is connected, but this does not work: Publishing and automation rules."
    assert (connection["fix_label"], len(connection["accounts"])) == ("Grant what is missing", 3)
    events = dict(await stage.events())
    assert events["token.state"]["missing_scopes"] == ["ads_management"]

    served = await token_of(stage, connection["accounts"][0])
    assert served["missing_scopes"] == ["ads_management"], "a service knows what not to try"
    await stage.make_due("meta")
    assert await stage.refresh_due() == 1
    await stage.probe_all()
    assert (await stage.connection(person))["missing"] == connection["missing"], "a refresh changes nothing of it"
    accounts = (await stage.ask("GET", "/api/v1/accounts", person.headers)).json["items"]
    assert {(a["usable"], a["missing"][0]["scope"]) for a in accounts} == {(True, "ads_management")}

    url = await link(stage, person, "meta")
    assert (asked(url)["scope"], asked(url)["auth_type"]) == ("ads_management", "rerequest")
    location = await clicked(stage, person, "meta", url)
    assert "how=reauthorize" in location
    assert "missing_scopes" not in location
    whole = await stage.connection(person)
    assert (whole["missing"], whole["fix_url"]) == ([], None)
    assert whole["summary"] == "Meta is connected."
    assert {a["account_id"] for a in whole["accounts"]} == {a["account_id"] for a in connection["accounts"]}
    assert (await token_of(stage, whole["accounts"][0]))["missing_scopes"] == []


async def test_saying_no_again_loses_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta", "avery", META_FORM)
    before = await stage.connection(person)
    await stage.events()
    url = await link(stage, person, "meta")
    back = await stage.agree(url, ("user", "avery"), ("decision", "deny"))
    reply = await stage.ask("GET", "/connect/meta/callback", person.headers, params=back)
    assert (reply.status, "did not give consent" in reply.text) == (400, True)
    assert await stage.connection(person) == before
    assert await stage.events() == []
    location = await clicked(stage, person, "meta", await link(stage, person, "meta"), ("scopes_shown", "1"))
    assert "missing_scopes=1" in location
    assert (await stage.connection(person))["missing"] == before["missing"]


async def test_a_permission_withdrawn_later_is_found_by_the_probe_and_given_back(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    await stage.events()
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "permission_changed", "scope": "business_management"})
    await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["status"] == "active"
    assert connection["missing"] == [{"scope": "business_management", "effect": "Business assets"}]
    assert {a["access"] for a in connection["accounts"]} == {"granted"}
    assert [topic for topic, _ in await stage.events()] == ["token.state"], "no account and no token has ended"
    url = await link(stage, person, "meta")
    assert asked(url)["scope"] == "business_management"
    await clicked(stage, person, "meta", url)
    assert (await stage.connection(person))["missing"] == []


@pytest.mark.parametrize("found_by", ["probe", "refresh"])
async def test_google_adds_the_missing_scope_to_what_was_granted(stage: Stage, found_by: str) -> None:
    person = stage.person()
    await stage.connect(person, "google-ads")
    before = await stage.connection(person)
    await stage.sim("POST", "grants/google-ads/avery/revoke", {"cause": "permission_changed", "scope": ADWORDS})
    if found_by == "refresh":
        await stage.make_due("google-ads")
        await stage.refresh_due()
    else:
        await stage.pool.execute("UPDATE schedule SET refresh_at = now()")
        await stage.refresh_due()
        await stage.probe_all()
    connection = await stage.connection(person)
    assert connection["missing"] == [{"scope": ADWORDS, "effect": "Publishing, automation rules and reports"}]
    assert connection["status"] == "active"
    url = await link(stage, person, "google-ads")
    assert (asked(url)["scope"], asked(url)["include_granted_scopes"]) == (ADWORDS, "true")
    await clicked(stage, person, "google-ads", url)
    healed = await stage.connection(person)
    assert (healed["missing"], healed["status"]) == ([], "active")
    assert {a["account_id"] for a in healed["accounts"]} == {a["account_id"] for a in before["accounts"]}
    await stage.make_due("google-ads")
    await stage.refresh_due()
    assert (await stage.connection(person))["missing"] == [], "and the refreshed token has all of it"


async def test_first_consent_without_the_needed_scope_is_connected_but_not_whole(stage: Stage) -> None:
    person = stage.person()
    reply = await stage.connect(person, "google-ads", "avery", (("scopes", "openid"), ("scopes", "email")))
    assert reply.status == 302, reply.text
    connection = await stage.connection(person)
    assert connection["missing"][0]["scope"] == ADWORDS
    assert connection["accounts"] == []
    await clicked(stage, person, "google-ads", await link(stage, person, "google-ads"))
    healed = await stage.connection(person)
    assert (healed["missing"], len(healed["accounts"])) == ([], 4)


async def test_other_platforms_are_asked_for_the_whole_list(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "rfc6749", "avery", (("scopes", "accounts.read"),))
    assert [m["scope"] for m in (await stage.connection(person))["missing"]] == ["ads.read"]
    url = await link(stage, person, "rfc6749")
    assert set(asked(url)["scope"].split()) == {"ads.read", "accounts.read"}
    assert "auth_type" not in asked(url)
    await clicked(stage, person, "rfc6749", url)
    assert (await stage.connection(person))["missing"] == []


async def test_a_dead_grant_is_asked_for_everything(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta", "avery", META_FORM)
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    connection = await stage.connection(person)
    assert (connection["status"], connection["missing"]) == ("revoked", [])
    assert connection["fix_label"] == "Re-authorise Meta"
    url = await link(stage, person, "meta")
    assert asked(url)["scope"] == "ads_management,ads_read,business_management"
    assert "auth_type" not in asked(url)
    await clicked(stage, person, "meta", url)
    assert (await stage.connection(person))["missing"] == []


async def test_tiktoks_permissions_are_numbers_that_the_settings_name(stage: Stage) -> None:
    """The advertiser may untick permissions; which number is which, the developer's app page says."""
    (app,) = [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == "tiktok"]
    file = {
        "via": stage.simulator.url,
        "allow_private_hosts": [urlsplit(stage.simulator.url).netloc],
        "providers": {
            "tiktok": {
                "client_id": app["client_id"],
                "client_secret": app["client_secret"],
                "features": {"4": "Publishing and automation rules", "5": "Reports"},
            }
        },
    }
    providers = build_providers(ProvidersFile.model_validate(file))
    stage.deps.providers = providers
    try:
        person = stage.person()
        reply = await stage.connect(person, "tiktok", "avery", (("scopes_shown", "1"), ("scopes", "5")))
        assert "missing_scopes=1" in reply.location
        connection = await stage.connection(person)
        assert connection["missing"] == [{"scope": "4", "effect": "Publishing and automation rules"}]
        assert connection["summary"].endswith("but this does not work: Publishing and automation rules.")
        whole = await clicked(stage, person, "tiktok", await link(stage, person, "tiktok"))
        assert "missing_scopes" not in whole
        assert (await stage.connection(person))["missing"] == []
    finally:
        await providers.close()
