"""Access tokens for backend services: served, refreshed in flight, refused clearly."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.runtime import ids
from oauth_svc.operations.serving import probe

if TYPE_CHECKING:
    from tests.conftest import Person, Stage


async def first_account(stage: Stage, person: Person) -> str:
    found: str = (await stage.connection(person))["accounts"][0]["account_id"]
    return found


async def test_a_working_token_is_served_with_its_header(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    account_id = await first_account(stage, person)
    reply = await stage.ask("GET", f"/api/v1/accounts/{account_id}/access-token", stage.service())
    assert reply.status == 200, reply.text
    token = reply.json
    assert token["access_token"].startswith("EAA")
    assert (token["header"], token["scheme"], token["stale_refresh"]) == ("Authorization", "Bearer", False)


async def test_min_ttl_is_guaranteed_by_a_refresh_in_flight(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "rfc6749")
    account_id = await first_account(stage, person)
    path = f"/api/v1/accounts/{account_id}/access-token"
    first = (await stage.ask("GET", path, stage.service())).json
    stage.clock.advance(timedelta(minutes=55))
    second = (await stage.ask("GET", f"{path}?min_ttl=600", stage.service())).json
    assert second["access_token"] != first["access_token"]
    assert second["stale_refresh"] is False


async def test_still_valid_token_is_served_while_refreshing_fails(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "rfc6749")
    account_id = await first_account(stage, person)
    await stage.sim("POST", "faults", {"provider": "rfc6749", "endpoint": "token", "kind": "status", "status": 503})
    stage.clock.advance(timedelta(minutes=55))
    path = f"/api/v1/accounts/{account_id}/access-token?min_ttl=600"
    reply = await stage.ask("GET", path, stage.service())
    assert reply.status == 200
    assert reply.json["stale_refresh"] is True
    stage.clock.advance(timedelta(minutes=10))
    reply = await stage.ask("GET", path, stage.service())
    assert reply.status == 503
    assert reply.json["code"] == "token_unavailable"
    assert "Retry-After" in reply.headers


async def test_refusal_names_cause_since_and_fix(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    connection = await stage.connection(person)
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all()
    account_id = connection["accounts"][0]["account_id"]
    reply = await stage.ask("GET", f"/api/v1/accounts/{account_id}/access-token", stage.service())
    assert reply.status == 409
    problem = reply.json
    assert (problem["code"], problem["cause"], problem["token_kind"]) == (
        "connection_revoked",
        "user_revoked",
        "platform_oauth",
    )
    assert problem["token_id"] == connection["connection_id"]
    assert problem["since"]
    assert problem["fix"] == "Re-authorise Meta in Wevion."
    assert problem["fix_url"].endswith(f"/connect/meta?connection_id={connection['connection_id']}")


async def test_lost_account_is_refused_alone(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    connection = await stage.connection(person)
    lost, *kept = connection["accounts"]
    await stage.sim("PUT", f"people/avery/accounts/meta/{lost['external_id']}", {"lost": True})
    await stage.events()
    await stage.probe_all()
    topics = [topic for topic, _ in await stage.events()]
    assert topics == ["account.access_changed", "token.state"]
    refused = await stage.ask("GET", f"/api/v1/accounts/{lost['account_id']}/access-token", stage.service())
    assert (refused.status, refused.json["code"]) == (409, "account_access_lost")
    for account in kept:
        served = await stage.ask("GET", f"/api/v1/accounts/{account['account_id']}/access-token", stage.service())
        assert served.status == 200
    assert (await stage.connection(person))["status"] == "active"
    await stage.sim("PUT", f"people/avery/accounts/meta/{lost['external_id']}", {"lost": False})
    await stage.probe_all()
    topics = [topic for topic, _ in await stage.events()]
    assert topics == ["account.access_changed", "data_gap.closed", "token.state"]


@pytest.mark.parametrize("scope", ["users:read", ""])
async def test_a_client_without_the_scope_is_refused(stage: Stage, scope: str) -> None:
    reply = await stage.ask("GET", f"/api/v1/accounts/{ids.new_id()}/access-token", stage.service(scope))
    assert reply.status == 403


async def test_a_person_gets_no_access_token(stage: Stage) -> None:
    person = stage.person(role="owner")
    await stage.connect(person)
    account_id = await first_account(stage, person)
    reply = await stage.ask("GET", f"/api/v1/accounts/{account_id}/access-token", person.headers)
    assert reply.status == 403


async def test_unknown_account_and_bad_min_ttl_are_refused(stage: Stage) -> None:
    unknown = await stage.ask("GET", f"/api/v1/accounts/{ids.new_id()}/access-token", stage.service())
    assert (unknown.status, unknown.json["code"]) == (404, "unknown_account")
    bad = await stage.ask("GET", f"/api/v1/accounts/{ids.new_id()}/access-token?min_ttl=-1", stage.service())
    assert bad.status == 400
    assert bad.json["errors"][0]["field"] == "min_ttl"


@pytest.mark.parametrize(
    ("report", "classification", "probing"),
    [
        ({"status": 400, "body": '{"error":{"code":190,"error_subcode":458}}'}, "reauthorize", True),
        ({"status": 400, "body": '{"error":{"code":100,"error_subcode":33}}'}, "account_lost_access", True),
        ({"status": 400, "body": '{"error":{"code":17}}'}, "rate_limited", False),
        ({"status": 500, "body": '{"error":{"code":190}}'}, "retry_later", False),
        ({"status": 200, "body": "{}"}, "none", False),
    ],
)
async def test_a_report_is_judged_not_believed(
    stage: Stage, report: dict[str, Any], classification: str, probing: bool
) -> None:
    person = stage.person()
    await stage.connect(person)
    account_id = await first_account(stage, person)
    reply = await stage.ask("POST", f"/api/v1/accounts/{account_id}/failures", stage.service(), json=report)
    assert reply.status == 202, reply.text
    assert (reply.json["classification"], reply.json["probing"]) == (classification, probing)
    await probe.sweep(stage.deps, stage.engine)
    assert (await stage.connection(person))["status"] == "active", "the platform itself says that all is well"
