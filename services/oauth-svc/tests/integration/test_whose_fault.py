"""Another platform user is never taken silently, and what is our own fault is never put on the user."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from common.testing import eventually
from oauth_svc import metrics

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage


async def taboola(stage: Stage, person: Person, user: str, **more: str) -> Reply:
    pair = {"client_id": f"taboola-{user}", "client_secret": f"secret-{user}"}
    return await stage.enter(person, "taboola", pair | more)


async def by(stage: Stage, provider: str, person: Person, user: str, **query: str) -> Reply:
    if provider == "taboola":
        return await taboola(stage, person, user, **query)
    return await stage.connect(person, provider, user, (), **query)


async def sealed(stage: Stage) -> list[Any]:
    return [tuple(row) for row in await stage.pool.fetch("SELECT * FROM credential ORDER BY 1")]


@pytest.mark.parametrize("provider", ["meta", "google-ads", "tiktok", "snapchat", "taboola", "rfc6749"])
async def test_another_platform_user_is_asked_about_never_swapped_in(stage: Stage, provider: str) -> None:
    person = stage.person()
    assert (await by(stage, provider, person, "avery")).status == 302
    before, secrets = await stage.connection(person), await sealed(stage)
    await stage.events()
    page = await by(stage, provider, person, "jordan", connection_id=before["connection_id"])
    assert page.status == 409
    assert "another user of the platform" in page.text
    assert "Nothing was changed" in page.text
    assert f'href="/connect/{provider}">Connect as a new connection' in page.text
    assert "connect_error=different_platform_user" in page.text, "so that the console can say it, too"
    assert (await stage.connection(person), await sealed(stage), await stage.events()) == (before, secrets, [])

    confirmed = await by(stage, provider, person, "jordan")
    assert "how=connect" in confirmed.location
    one, two = await stage.connections(person)
    assert {c["connection_id"] for c in (one, two)} > {before["connection_id"]}
    assert {c["status"] for c in (one, two)} == {"active"}


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "malformed"}])
async def test_a_consent_whose_giver_is_not_known_is_not_taken_for_the_connections_user(
    stage: Stage, fault: dict[str, Any]
) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    before, secrets = await stage.connection(person), await sealed(stage)
    await stage.events()
    await stage.sim("POST", "faults", {"provider": "meta", "endpoint": "introspect", **fault})
    for query in ({"connection_id": before["connection_id"]}, {}):
        reply = await stage.connect(person, "meta", "jordan", (), **query)
        assert (reply.status, "who gave the consent" in reply.text) == (502, True)
    assert (await stage.connection(person), await sealed(stage), await stage.events()) == (before, secrets, [])


async def test_a_refused_client_of_ours_pages_operators_and_asks_nothing_of_users(stage: Stage) -> None:
    """Somebody changed our app's secret at the platform: every refresh fails, and no user can help it."""
    people = [stage.person() for _ in range(10)]
    for person in people:
        await stage.connect(person, "google-ads")
    await stage.events()
    (app,) = [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == "google-ads"]
    await stage.sim("PUT", f"apps/google-ads/{app['client_id']}", {"client_secret": "changed"})
    await stage.make_due("google-ads")
    await stage.refresh_due()
    await stage.make_due("google-ads")
    await stage.refresh_due()
    events = await stage.events()
    assert {topic for topic, _ in events} <= {"token.refresh_failed", "token.state", "platform.incident"}
    assert {body["class"] for topic, body in events if topic == "token.refresh_failed"} == {"our_bug"}
    (incident,) = [body for topic, body in events if topic == "platform.incident"]
    assert (incident["state"], incident["reason"]) == ("opened", "client")
    for person in people:
        connection = await stage.connection(person)
        assert connection["status"] in ("active", "degraded")
        assert (connection["fix"], connection["fix_url"]) == (None, None)
        assert "authorise" not in connection["summary"]
    account_id = (await stage.connection(people[0]))["accounts"][0]["account_id"]
    path = f"/api/v1/accounts/{account_id}/access-token"
    assert (await stage.ask("GET", path, stage.service())).status == 200, "what still works is served"
    stage.clock.advance(timedelta(hours=2))
    refused = await stage.ask("GET", path, stage.service())
    assert (refused.status, refused.json["code"]) == (503, "token_unavailable")
    assert "fix_url" not in refused.json

    new = await stage.connect(stage.person(), "google-ads", "jordan")
    assert (new.status, "on our side" in new.text, "operators are told" in new.text) == (502, True, True)
    await stage.sim("PUT", f"apps/google-ads/{app['client_id']}", {"client_secret": app["client_secret"]})

    async def healed() -> bool:
        await stage.make_due("google-ads")
        await stage.refresh_due()
        return {c["status"] for p in people for c in await stage.connections(p)} == {"active"}

    await eventually(healed)


def in_testing(provider: str, seen: str) -> float:
    return float(metrics.IN_TESTING.labels(provider, seen)._value.get())


async def test_an_app_in_testing_pages_us_and_warns_nobody(stage: Stage) -> None:
    await stage.sim("PUT", "modes/google-ads", {"testing": True})
    before = in_testing("google-ads", "stated"), in_testing("google-ads", "ended")
    person = stage.person()
    assert (await stage.connect(person, "google-ads")).status == 302
    connection = await stage.connection(person)
    assert (connection["status"], connection["expires_at"]) == ("active", None), "no consent of theirs helps"
    assert in_testing("google-ads", "stated") == before[0] + 1
    await stage.pool.execute("UPDATE connection SET authorized_at = authorized_at - interval '7 days'")
    await stage.sim("POST", "clock", {"advance_s": 7 * 86_400 + 60})
    await stage.make_due("google-ads")
    await stage.refresh_due()
    assert (await stage.connection(person))["status"] == "revoked"
    assert in_testing("google-ads", "ended") == before[1] + 1


async def test_a_consent_for_a_limited_time_is_the_persons_own(stage: Stage) -> None:
    await stage.sim("PUT", "modes/google-ads", {"time_limited": True})
    await stage.sim("PUT", "lifetimes/google-ads", {"refresh_s": 30 * 86_400})
    before = in_testing("google-ads", "stated")
    person = stage.person()
    assert (await stage.connect(person, "google-ads")).status == 302
    assert (await stage.connection(person))["expires_at"] is not None
    assert in_testing("google-ads", "stated") == before


SAID = {
    "consent_denied": (400, "You did not give consent"),
    "platform_unavailable": (503, "Start again in a few minutes"),
    "our_fault": (502, "Wevion's operators are told".replace("'", "&#x27;")),
}


@pytest.mark.parametrize(
    ("error", "more", "outcome"),
    [
        ("access_denied", {}, "consent_denied"),
        ("access_denied", {"error_reason": "user_denied"}, "consent_denied"),
        ("user_cancelled_login", {}, "consent_denied"),
        ("server_error", {}, "platform_unavailable"),
        ("temporarily_unavailable", {}, "platform_unavailable"),
        ("invalid_request", {}, "our_fault"),
        ("unauthorized_client", {}, "our_fault"),
        ("unsupported_response_type", {}, "our_fault"),
        ("invalid_scope", {}, "our_fault"),
        ("<script>alert(1)</script>", {}, "our_fault"),
    ],
)
async def test_an_error_in_the_callback_says_whose_it_is(
    stage: Stage, error: str, more: dict[str, str], outcome: str
) -> None:
    """Only `access_denied` is a person's no (RFC 6749 section 4.1.2.1)."""
    person = stage.person()
    state = dict(parse_qsl(urlsplit(await stage.consent_url(person)).query))["state"]
    status, words = SAID[outcome]
    before = float(metrics.CONNECTS.labels("meta", outcome)._value.get())
    query = {"error": error, "error_description": "said by the platform", "state": state, **more}
    page = await stage.ask("GET", "/connect/meta/callback", person.headers, params=query)
    assert (page.status, words in page.text) == (status, True), page.text[-700:]
    assert "<script>" not in page.text
    assert float(metrics.CONNECTS.labels("meta", outcome)._value.get()) == before + 1
    again = await stage.ask("GET", "/connect/meta/callback", person.headers, params=query)
    assert again.status == status, "a reload says the same"
    assert await stage.connections(person) == []
