"""No failure is invisible: of a probe, of a listing at connect, and of what a service reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from common.telemetry import metrics

if TYPE_CHECKING:
    from tests.conftest import Person, Reply, Stage


def failed(provider: str, call: str, class_: str) -> float:
    labels = {"provider": provider, "call": call, "class": class_}
    return metrics.value("wevion_oauth_calls_failed_total", labels) or 0.0


async def trouble(stage: Stage, endpoint: str, **more: Any) -> None:
    await stage.sim("POST", "faults", {"provider": "meta", "endpoint": endpoint, "kind": "status", **more})


OURS = {"status": 400, "body": '{"error": {"code": 2635, "type": "OAuthException", "message": "old version"}}'}
STRANGE = {"status": 418, "body": "{}"}


@pytest.mark.parametrize(
    ("answer", "class_"), [(OURS, "our_bug"), (STRANGE, "retry_later"), ({"status": 503}, "retry_later")]
)
async def test_a_failed_probe_is_counted_logged_and_shown_until_one_succeeds(
    stage: Stage, answer: dict[str, Any], class_: str
) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    before = failed("meta", "probe", class_)
    await trouble(stage, "accounts", **answer)
    with capture_logs() as lines:
        await stage.probe_all()
    assert failed("meta", "probe", class_) == before + 1
    (line,) = [line for line in lines if line["event"] == "call_failed"]
    assert (line["call"], line["verdict"], line["provider"]) == ("probe", class_, "meta")
    assert line["failure_code"]
    connection = await stage.connection(person)
    assert connection["status"] == "active"
    assert connection["last_failure"].startswith(f"{class_}:")
    assert connection["last_failure"].endswith(" at probe")
    await stage.sim("DELETE", "faults")
    await stage.probe_all()
    assert (await stage.connection(person))["last_failure"] is None


@pytest.mark.parametrize(("answer", "words"), [(OURS, "refuses Wevion's own request"), ({"status": 503}, "trouble")])
async def test_a_listing_that_failed_at_connect_says_why(stage: Stage, answer: dict[str, Any], words: str) -> None:
    person = stage.person()
    await trouble(stage, "accounts", **answer)
    assert (await stage.connect(person, "meta")).status == 302
    connection = await stage.connection(person)
    assert (connection["status"], connection["accounts"]) == ("active", [])
    assert connection["last_failure"].endswith(" at list")
    assert "Its accounts are not listed yet, because" in connection["summary"]
    assert words in connection["summary"]
    await stage.sim("DELETE", "faults")
    await stage.probe_all()
    healed = await stage.connection(person)
    assert healed["last_failure"] is None
    assert healed["accounts"]


async def test_what_a_service_reports_is_counted_and_shown(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    account = (await stage.connection(person))["accounts"][0]["account_id"]
    before = failed("meta", "report", "our_bug")
    with capture_logs() as lines:
        reply = await stage.ask(
            "POST",
            f"/api/v1/accounts/{account}/failures",
            stage.service(),
            json={"status": OURS["status"], "body": OURS["body"]},
        )
    assert reply.json["classification"] == "our_bug"
    assert failed("meta", "report", "our_bug") == before + 1
    assert [line["call"] for line in lines if line["event"] == "call_failed"] == ["report"]
    assert (await stage.connection(person))["last_failure"].endswith(" at report")


async def test_a_connection_is_checked_when_a_person_asks(stage: Stage) -> None:
    person, stranger = stage.person(), stage.person()
    await stage.connect(person, "tiktok")
    connection_id = (await stage.connection(person))["connection_id"]

    async def check(who: Person = person) -> Reply:
        return await stage.ask("POST", f"/api/v1/connections/{connection_id}/check", who.headers)

    fine = await check()
    assert (fine.status, fine.json["verified"], fine.json["reason"]) == (200, True, None)
    assert fine.json["explanation"].endswith("was asked just now, and the connection works.")
    await stage.sim("POST", "faults", {"provider": "tiktok", "endpoint": "*", "kind": "status", "status": 503})
    away = await check()
    assert (away.json["verified"], away.json["connection"]["status"]) == (False, "active")
    assert "could not be asked" in away.json["explanation"]
    await stage.sim("DELETE", "faults")
    await stage.sim("POST", "grants/tiktok/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    dead = await check()
    assert (dead.json["verified"], dead.json["connection"]["status"]) == (False, "revoked")
    assert dead.json["reason"].startswith("reauthorize:")
    assert (await check(stranger)).status == 404
