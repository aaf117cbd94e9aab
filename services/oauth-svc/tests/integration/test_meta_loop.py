"""A Meta connection's whole life: connect, silent refresh, removal at the platform, re-authorisation, gap."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from common.testing import eventually
from oauth_svc.operations import disconnect
from oauth_svc.providers.registry import ProvidersFile, build_providers

if TYPE_CHECKING:
    from tests.conftest import Stage


async def test_connect_stores_the_long_lived_token_with_three_accounts(stage: Stage) -> None:
    person = stage.person()
    reply = await stage.connect(person, return_to="/connections?tab=ads")
    assert reply.status == 302
    assert reply.location.startswith("/connections?tab=ads&connected=meta&connection_id=")
    connection = await stage.connection(person)
    assert connection["status"] == "active"
    assert len(connection["accounts"]) == 3
    issued, state = await stage.events()
    assert issued[0] == "token.issued"
    assert issued[1]["how"] == "connect"
    assert issued[1]["token"]["version"] == 1
    assert len(issued[1]["token"]["accounts"]) == 3
    assert state[0] == "token.state"
    assert state[1]["status"] == "active"
    days = await stage.pool.fetchval("SELECT extract(epoch FROM access_expires_at - now()) / 86400 FROM connection")
    assert 55 < days < 61


async def test_refresh_swaps_the_token_and_tells(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    before = await stage.pool.fetchrow("SELECT sealed, version, generation FROM credential")
    await stage.events()
    await stage.make_due()
    assert await stage.refresh_due() == 1
    after = await stage.pool.fetchrow("SELECT sealed, version, generation FROM credential")
    assert before is not None
    assert after is not None
    assert after["version"] == before["version"] + 1
    assert after["generation"] == before["generation"] + 1
    assert [topic for topic, _ in await stage.events()] == ["token.refreshed", "token.state"]
    assert await stage.refresh_due() == 0, "a second run finds nothing to do"


async def test_a_swap_that_extends_nothing_is_no_new_end_to_anybody(stage: Stage) -> None:
    """Meta tells whole seconds, on its own clock: downstream, another end would be another episode of warnings."""
    await stage.sim("PUT", "modes/meta", {"exchange_extends": False})
    person = stage.person()
    await stage.connect(person)
    ends = {body["expires_at"] for topic, body in await stage.events() if topic == "token.issued"}
    stage.clock.advance(timedelta(seconds=0.6))
    for _ in range(3):
        await stage.make_due()
        assert await stage.refresh_due() == 1
        await stage.probe_all()
    events = await stage.events()
    assert [topic for topic, _ in events].count("token.refreshed") == 3
    ends |= {body["expires_at"] for _, body in events}
    assert len(ends) == 1


async def test_removal_is_learned_by_the_webhook_once(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    await stage.sim(
        "PUT",
        "apps/meta/100000000000001",
        {
            "client_secret": "sim-meta-app-secret-0123456789abcdef",
            "webhook_url": f"{stage.url}/webhooks/meta",
            "redirect_uris": ["http://127.0.0.1:8080/connect/meta/callback"],
        },
    )
    await stage.events()
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "twice"})

    async def revoked() -> bool:
        return bool((await stage.connection(person))["status"] == "revoked")

    await eventually(revoked)
    connection = await stage.connection(person)
    assert (connection["cause"], connection["detected_by"]) == ("user_revoked", "webhook")
    assert [topic for topic, _ in await stage.events()] == ["token.revoked", "token.state"]


async def test_removal_is_learned_by_the_probe_and_by_the_refresh(stage: Stage) -> None:
    for how in ("probe", "refresh"):
        person = stage.person()
        await stage.connect(person)
        await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
        if how == "probe":
            await stage.probe_all()
        else:
            await stage.make_due()
            await stage.refresh_due()
        connection = await stage.connection(person)
        assert (connection["status"], connection["cause"], connection["detected_by"]) == (
            "revoked",
            "user_revoked",
            how,
        )
        assert connection["fix_url"].endswith(f"/connect/meta?connection_id={connection['connection_id']}")


async def test_reauthorisation_heals_the_same_connection_and_closes_the_gap(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    first = await stage.connection(person)
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    await stage.events()
    stage.clock.advance(timedelta(hours=3))
    reply = await stage.connect(person, connection_id=first["connection_id"])
    assert reply.status == 302, reply.text
    healed = await stage.connection(person)
    assert healed["connection_id"] == first["connection_id"]
    assert healed["status"] == "active"
    assert {a["account_id"] for a in healed["accounts"]} == {a["account_id"] for a in first["accounts"]}
    events = await stage.events()
    topics = [topic for topic, _ in events]
    assert topics == ["token.issued", "token.state", *["data_gap.closed"] * 3]
    assert events[0][1]["how"] == "reauthorize"
    gaps = (await stage.ask("GET", "/api/v1/data-gaps", person.headers)).json
    assert gaps["total"] == 3
    assert gaps["open"] == 0
    assert 3 * 3 * 3600 <= gaps["total_seconds"] < 3 * 3 * 3600 + 60


async def test_consent_by_someone_else_changes_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    before = await stage.connection(person)
    await stage.events()
    reply = await stage.connect(person, user="jordan", connection_id=before["connection_id"])
    assert reply.status == 409
    assert "another user of the platform" in reply.text
    assert await stage.connection(person) == before
    assert await stage.events() == []


async def test_disconnect_revokes_at_the_platform(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    connection = await stage.connection(person)
    reply = await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", person.headers)
    assert reply.status == 200
    assert reply.json["cause"] == "disconnected"
    await disconnect.sweep_remote(stage.deps)
    grants = await stage.sim("GET", "grants?provider=meta&alive=1")
    assert grants["grants"] == [] if isinstance(grants, dict) else grants == []
    assert await stage.pool.fetchval("SELECT count(*) FROM credential") == 0


async def test_access_to_data_that_ends_is_renewed_by_the_consent(stage: Stage) -> None:
    """A mere login does not renew it: the dialog has to be opened with `auth_type=reauthorize`."""
    await stage.sim("PUT", "lifetimes/meta", {"data_access_s": 10 * 86_400})
    person = stage.person()
    await stage.connect(person)
    before = await stage.connection(person)
    assert before["status"] == "expiring"
    await stage.sim("POST", "clock", {"advance_s": 11 * 86_400})
    stage.clock.advance(timedelta(days=11))
    await stage.pass_time()
    dead = await stage.connection(person)
    assert (dead["status"], dead["cause"]) == ("expired", None)
    url = await stage.consent_url(person, connection_id=dead["connection_id"])
    assert dict(parse_qsl(urlsplit(url).query))["auth_type"] == "reauthorize"
    back = await stage.agree(url, ("user", "avery"))
    assert (await stage.ask("GET", "/connect/meta/callback", person.headers, params=back)).status == 302
    again = await stage.connection(person)
    assert again["status"] == "expiring"
    assert again["expires_at"] > before["expires_at"]
    assert "auth_type" not in await stage.consent_url(stage.person())


async def test_login_for_business_gives_a_system_users_token_without_an_end(stage: Stage) -> None:
    permissions = ["ads_management", "ads_read", "business_management"]
    configurations = {"77": {"permissions": permissions, "token": "system_user"}}
    (app,) = [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == "meta"]
    await stage.sim("PUT", f"apps/meta/{app['client_id']}", {"options": {"configurations": configurations}})
    file = {
        "via": stage.simulator.url,
        "allow_private_hosts": [urlsplit(stage.simulator.url).netloc],
        "providers": {
            "meta": {"client_id": app["client_id"], "client_secret": app["client_secret"], "config_id": "77"},
        },
    }
    providers = build_providers(ProvidersFile.model_validate(file))
    stage.deps.providers = providers
    try:
        person = stage.person()
        asked = dict(parse_qsl(urlsplit(await stage.consent_url(person)).query))
        assert (asked["config_id"], "scope" in asked) == ("77", False)
        assert (await stage.connect(person)).status == 302
        connection = await stage.connection(person)
        assert (connection["status"], connection["expires_at"], connection["missing"]) == ("active", None, [])
        assert len(connection["accounts"]) == 3
        assert await stage.pool.fetchval("SELECT refresh_at FROM schedule") is None, "there is nothing to swap"
        await stage.sim("POST", "clock", {"advance_s": 100 * 86_400})
        stage.clock.advance(timedelta(days=100))
        await stage.pass_time()
        await stage.probe_all()
        later = await stage.connection(person)
        assert (later["status"], later["expires_at"]) == ("active", None), "nobody has to be active in the app"
        account = later["accounts"][0]["account_id"]
        token = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
        assert (token.status, token.json["expires_at"]) == (200, None)
        await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
        await stage.probe_all()
        assert (await stage.connection(person))["status"] == "revoked"
    finally:
        await providers.close()
