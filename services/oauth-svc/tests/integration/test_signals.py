"""Signals of platforms: dated by the event, judged, and healed when they were mistaken."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.contracts import RevocationCause
from common.testing import eventually
from oauth_svc import store
from oauth_svc.operations import purge, webhooks
from oauth_svc.providers.base import Signal
from oauth_svc.providers.registry import ProvidersFile, ProvidersFileError, build_providers

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage

SECRET = "whsec_SimWevionConnect"


async def connected(stage: Stage, *providers: str) -> Person:
    person = stage.person(role="owner")
    for provider in providers:
        for app in [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == provider]:
            hook = {"webhook_url": f"{stage.url}/webhooks/{provider}"}
            await stage.sim("PUT", f"apps/{provider}/{app['client_id']}", hook)
        assert (await stage.connect(person, provider)).status == 302
    await stage.events()
    return person


async def credentials(stage: Stage) -> int:
    found: int = await stage.pool.fetchval("SELECT count(*) FROM credential")
    return found


async def stripe(stage: Stage, account: str, *, age_s: float = 0, livemode: bool = False, **more: Any) -> Reply:
    """A delivery that Stripe signs now, whenever the event was."""
    now = int(stage.clock.now().timestamp())
    event = {
        "id": f"evt_{age_s}_{livemode}",
        "type": "account.application.deauthorized",
        "account": account,
        "created": now - int(age_s),
        "livemode": livemode,
        **more,
    }
    body = json.dumps(event).encode()
    signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return await stage.ask("POST", "/webhooks/stripe", {"Stripe-Signature": f"t={now},v1={signature}"}, data=body)


async def account_of(stage: Stage) -> str:
    found: str = await stage.pool.fetchval("SELECT subject FROM connection WHERE provider = 'stripe'")
    return found


async def test_a_deauthorisation_of_the_grant_before_ends_nothing(stage: Stage) -> None:
    person = await connected(stage, "stripe")
    assert (await stripe(stage, await account_of(stage), age_s=3600)).status == 200
    assert (await stage.connection(person))["status"] == "active"
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "active"
    assert await credentials(stage) == 1


async def test_an_event_of_the_other_mode_is_not_about_our_grants(stage: Stage) -> None:
    person = await connected(stage, "stripe")
    assert (await stripe(stage, await account_of(stage), livemode=True)).status == 200
    assert (await stage.connection(person))["status"] == "active"


@pytest.mark.parametrize("created", [None, "now", True, -1, 10**12])
async def test_an_event_without_a_time_is_refused(stage: Stage, created: object) -> None:
    person = await connected(stage, "stripe")
    assert (await stripe(stage, await account_of(stage), created=created)).status == 403
    assert (await stage.connection(person))["status"] == "active"


async def test_a_retried_delivery_is_signed_anew_and_dated_by_its_event(stage: Stage) -> None:
    person = await connected(stage, "stripe")
    await stage.sim("POST", "grants/stripe/avery/revoke", {"cause": "user_revoked", "webhook": "send"})

    async def ended() -> bool:
        return bool((await stage.connection(person))["status"] == "revoked")

    await eventually(ended)
    (sent,) = (await stage.sim("GET", "webhooks?provider=stripe"))["deliveries"]
    await stage.sim("POST", "clock", {"advance_s": 7200})
    stage.clock.advance(timedelta(hours=2))
    connection = await stage.connection(person)
    assert (await stage.connect(person, "stripe", connection_id=connection["connection_id"])).status == 302
    await stage.pool.execute("DELETE FROM webhook_seen")
    again = await stage.sim("POST", f"webhooks/{sent['id']}/again")

    async def delivered() -> bool:
        all_sent = (await stage.sim("GET", "webhooks?provider=stripe"))["deliveries"]
        return [d["status"] for d in all_sent if d["id"] == again["id"]] == [200]

    await eventually(delivered)
    assert (await stage.connection(person))["status"] == "active", "the event is older than this authorisation"


async def test_a_mistaken_signal_heals_by_itself(stage: Stage) -> None:
    """The grant lives at the platform; its signal said otherwise."""
    person = await connected(stage, "stripe")
    assert (await stripe(stage, await account_of(stage))).status == 200
    dead = await stage.connection(person)
    assert (dead["status"], dead["detected_by"]) == ("revoked", "webhook")
    assert await credentials(stage) == 1, "kept, sealed"
    account = dead["accounts"][0]["account_id"]
    refused = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
    assert refused.status == 409, "but served to nobody"
    await stage.probe_all()
    healed = await stage.connection(person)
    assert (healed["status"], healed["cause"]) == ("active", None)
    topics = [topic for topic, _ in await stage.events()]
    assert topics.count("token.revoked") == 1
    assert topics.count("token.issued") == 1
    assert (await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())).status == 200
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "active", "and it is probed as before"


async def test_what_the_platform_calls_dead_too_stays_dead_and_is_forgotten_after_the_grace(stage: Stage) -> None:
    person = await connected(stage, "stripe")
    await stage.sim("POST", "grants/stripe/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    assert (await stripe(stage, await account_of(stage))).status == 200
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "revoked"
    assert await stage.pool.fetchval("SELECT probe_at FROM schedule") is None
    stage.clock.advance(timedelta(days=6, hours=23))
    await purge.sweep(stage.deps)
    assert await credentials(stage) == 1
    stage.clock.advance(timedelta(hours=2))
    await purge.sweep(stage.deps)
    assert await credentials(stage) == 0


async def test_a_platform_in_trouble_neither_heals_nor_buries(stage: Stage) -> None:
    person = await connected(stage, "stripe")
    assert (await stripe(stage, await account_of(stage))).status == 200
    await stage.sim("POST", "faults", {"provider": "stripe", "endpoint": "*", "kind": "status", "status": 503})
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "revoked"
    await stage.sim("DELETE", "faults")
    await stage.probe_all()
    assert (await stage.connection(person))["status"] == "active"


@pytest.mark.parametrize(
    ("provider", "own", "age_s", "proof"),
    [
        ("google-ads", True, 0, True),
        ("google-ads", True, 1, True),  # whole seconds, on another clock
        ("google-ads", True, 10, False),
        ("google-drive", True, 0, False),
        ("google-ads", False, 0, False),
    ],
    ids=["its own", "within the grain", "the grant before", "a sibling", "another client of ours"],
)
async def test_a_signal_ends_only_what_it_is_about(
    stage: Stage, provider: str, own: bool, age_s: int, proof: bool
) -> None:
    await connected(stage, "google-ads")
    (connection_id,) = [row["connection_id"] for row in await stage.pool.fetch("SELECT connection_id FROM connection")]
    async with stage.pool.acquire() as db:
        connection = await store.connections.read(db, connection_id)
    assert connection is not None
    at = connection.authorized_at - timedelta(seconds=age_s)
    signal = Signal("one", "avery", RevocationCause.USER_REVOKED, at, own=own)
    assert webhooks.proves(signal, provider, connection) is proof


@pytest.mark.parametrize("form", [True, "hash"])
async def test_google_names_a_token_in_two_ways(stage: Stage, form: object) -> None:
    person = await connected(stage, "google-ads")
    await stage.sim("PUT", "modes/google-ads", {"risc_names_token": form})
    await stage.sim("POST", "grants/google-ads/avery/revoke", {"cause": "user_revoked", "webhook": "send"})

    async def ended() -> bool:
        return bool((await stage.connection(person))["status"] == "revoked")

    await eventually(ended)
    (sent,) = (await stage.sim("GET", "webhooks?provider=google-ads"))["deliveries"]
    assert sent["status"] == 202, "RFC 8935 section 2.2"


async def test_an_event_that_was_redelivered_late_counts_by_the_grants_own_date(stage: Stage) -> None:
    person = await connected(stage, "google-ads")
    await stage.pool.execute("UPDATE connection SET authorized_at = authorized_at - interval '30 days'")
    await stage.sim("POST", "grants/google-ads/avery/revoke", {"cause": "user_revoked", "webhook": "stale"})

    async def ended() -> bool:
        return bool((await stage.connection(person))["status"] == "revoked")

    await eventually(ended)


async def test_what_google_did_not_sign_is_refused_in_the_words_of_rfc_8935(stage: Stage) -> None:
    person = await connected(stage, "google-ads")
    event = {"Content-Type": "application/secevent+jwt"}
    refused = await stage.ask("POST", "/webhooks/google-ads", event, data=b"no.token.here")
    assert (refused.status, refused.json["err"]) == (400, "authentication_failed")
    await stage.sim("POST", "grants/google-ads/avery/revoke", {"cause": "user_revoked", "webhook": "bad_signature"})

    async def told() -> bool:
        return [d["status"] for d in (await stage.sim("GET", "webhooks?provider=google-ads"))["deliveries"]] == [400]

    await eventually(told)
    assert (await stage.connection(person))["status"] == "active"


@pytest.mark.parametrize(("provider", "missing"), [("meta", "client_secret"), ("stripe", "webhook_secret")])
def test_no_provider_starts_without_the_secret_of_its_webhook(provider: str, missing: str) -> None:
    given = {"client_id": "c", "client_secret": "s", "webhook_secret": "w"}
    for value in ({}, {missing: ""}):
        settings = {name: secret for name, secret in given.items() if name != missing} | value
        file = ProvidersFile.model_validate({"providers": {provider: settings}})
        with pytest.raises(ProvidersFileError, match=rf"providers\.{provider}\.{missing}: is needed for its webhook"):
            build_providers(file)
    build_providers(ProvidersFile.model_validate({"providers": {provider: given}}))
