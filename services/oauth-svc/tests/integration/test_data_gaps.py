"""A gap begins at the last good use and is never moved by a failure; the totals say what it costs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from oauth_svc.operations.serving import probe

if TYPE_CHECKING:
    from tests.conftest import Person, Stage

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=5)
REVOKED = {"status": 400, "body": '{"error":{"code":190,"error_subcode":458}}'}


async def account_id(stage: Stage, person: Person) -> str:
    found: str = (await stage.connection(person))["accounts"][0]["account_id"]
    return found


async def hand_out(stage: Stage, person: Person) -> None:
    path = f"/api/v1/accounts/{await account_id(stage, person)}/access-token"
    assert (await stage.ask("GET", path, stage.service())).status == 200
    await stage.deps.uses.flush(stage.pool)


async def refresh(stage: Stage, person: Person) -> None:
    await stage.make_due()
    assert await stage.refresh_due() == 1


async def verify(stage: Stage, person: Person) -> None:
    reply = await stage.ask("POST", f"/api/v1/accounts/{await account_id(stage, person)}/verify", person.headers)
    assert reply.json["verified"] is True


async def probed(stage: Stage, person: Person) -> None:
    await stage.probe_all()


async def report(stage: Stage, person: Person) -> None:
    path = f"/api/v1/accounts/{await account_id(stage, person)}/failures"
    assert (await stage.ask("POST", path, stage.service(), json=REVOKED)).json["probing"] is True


async def gaps(stage: Stage, person: Person) -> dict[str, Any]:
    reply = await stage.ask("GET", "/api/v1/data-gaps", person.headers)
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


async def gap_start(stage: Stage, person: Person) -> datetime:
    wanted = await account_id(stage, person)
    (mine,) = [g for g in (await gaps(stage, person))["items"] if g["account_id"] == wanted]
    return datetime.fromisoformat(mine["from"])


async def removed_and_found(stage: Stage) -> None:
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    stage.clock.advance(2 * HOUR)
    await stage.probe_all()


@pytest.mark.parametrize("last_good", [refresh, hand_out, verify, probed])
async def test_gap_starts_at_last_success_not_at_detection(stage: Stage, last_good: Any) -> None:
    person = stage.person()
    await stage.connect(person)
    stage.clock.advance(3 * HOUR)
    good = stage.clock.now()
    await last_good(stage, person)
    stage.clock.advance(HOUR)
    await removed_and_found(stage)
    assert good <= await gap_start(stage, person) < good + SECOND


async def test_failures_move_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    stage.clock.advance(HOUR)
    good = stage.clock.now()
    await probed(stage, person)
    await stage.sim("POST", "faults", {"provider": "meta", "endpoint": "*", "kind": "status", "status": 503})
    for _ in range(4):
        stage.clock.advance(HOUR)
        await stage.make_due()
        await stage.refresh_due()
        await stage.probe_all()
    await stage.sim("DELETE", "faults")
    await removed_and_found(stage)
    assert good <= await gap_start(stage, person) < good + SECOND


async def test_a_hand_out_whose_use_was_refused_does_not_count_and_the_one_before_does(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    stage.clock.advance(HOUR)
    good = stage.clock.now()
    await hand_out(stage, person)
    stage.clock.advance(HOUR)
    await stage.sim("POST", "grants/meta/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await hand_out(stage, person)
    await report(stage, person)
    await hand_out(stage, person)  # a sibling asks before the report is judged, and fails too
    await report(stage, person)
    stage.clock.advance(HOUR)
    await probe.sweep(stage.deps, stage.engine)
    assert (await stage.connection(person))["status"] == "revoked"
    assert good <= await gap_start(stage, person) < good + SECOND


async def test_a_report_that_the_platform_does_not_confirm_costs_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    await hand_out(stage, person)
    await report(stage, person)
    stage.clock.advance(HOUR)
    good = stage.clock.now()
    await probe.sweep(stage.deps, stage.engine)
    await removed_and_found(stage)
    assert good <= await gap_start(stage, person) < good + SECOND


async def test_one_lost_account_counts_from_its_own_last_good_moment(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person)
    stage.clock.advance(HOUR)
    good = stage.clock.now()
    await probed(stage, person)
    stage.clock.advance(HOUR)
    lost = (await stage.connection(person))["accounts"][0]
    await stage.sim("PUT", f"people/avery/accounts/meta/{lost['external_id']}", {"lost": True})
    await refresh(stage, person)  # the grant is well, which says nothing about this account
    stage.clock.advance(HOUR)
    await probed(stage, person)
    assert good <= await gap_start(stage, person) < good + SECOND


async def test_totals_grow_while_open_and_stand_still_when_closed(stage: Stage) -> None:
    person, stranger = stage.person(), stage.person()
    await stage.connect(person)
    await stage.connect(stranger, user="jordan")
    await removed_and_found(stage)
    now = await gaps(stage, person)
    assert (now["total"], now["open"]) == (3, 3)
    stage.clock.advance(HOUR)
    later = await gaps(stage, person)
    assert later["total_seconds"] - now["total_seconds"] == pytest.approx(3 * 3600, abs=30)
    connection = await stage.connection(person)
    assert (await stage.connect(person, connection_id=connection["connection_id"])).status == 302
    closed = await gaps(stage, person)
    assert (closed["total"], closed["open"]) == (3, 0)
    assert closed["total_seconds"] == pytest.approx(3 * 3 * 3600, abs=60)
    stage.clock.advance(HOUR)
    assert (await gaps(stage, person))["total_seconds"] == closed["total_seconds"]
    assert (await gaps(stage, stranger))["total"] == 0
    one = await stage.ask("GET", f"/api/v1/data-gaps?account_id={await account_id(stage, person)}", person.headers)
    assert len(one.json["items"]) == 1
