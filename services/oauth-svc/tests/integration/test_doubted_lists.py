"""One surprising list proves nothing: it is asked for again, minutes later, before anybody is told (T2.18)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Person, Stage

EMPTY = {
    "meta": {"data": []},
    "snapchat": {"request_status": "SUCCESS", "organizations": []},
    "tiktok": {"code": 0, "message": "OK", "data": {"list": []}},
}


async def _one_empty_list(stage: Stage, provider: str, count: int = 1) -> None:
    fault = {"provider": provider, "endpoint": "accounts", "kind": "status", "status": 200, "count": count}
    await stage.sim("POST", "faults", {**fault, "body": json.dumps(EMPTY[provider])})


async def _usable(stage: Stage, person: Person) -> list[bool]:
    reply = await stage.ask("GET", "/api/v1/accounts?limit=200", person.headers)
    return [item["usable"] for item in reply.json["items"]]


async def _told(stage: Stage) -> list[tuple[str, Any]]:
    return [(topic, body["access"]) for topic, body in await stage.events() if topic == "account.access_changed"]


@pytest.mark.parametrize("provider", sorted(EMPTY))
async def test_one_empty_list_takes_nothing_away_and_is_asked_for_again(stage: Stage, provider: str) -> None:
    person = stage.person()
    await stage.connect(person, provider, "agency")
    accounts = len(await _usable(stage, person))
    await stage.events()
    await _one_empty_list(stage, provider)

    await stage.probe_all()

    assert await _usable(stage, person) == [True] * accounts
    assert await _told(stage) == []
    soon = await stage.pool.fetchval("SELECT probe_at FROM schedule")
    assert soon - stage.clock.now() < timedelta(minutes=5)
    stage.clock.advance(timedelta(minutes=3))
    await stage.probe_all()
    assert await _usable(stage, person) == [True] * accounts
    assert await _told(stage) == []
    assert await stage.pool.fetchval("SELECT doubted_at FROM account_listing") is None


async def test_a_list_that_stays_empty_is_believed_minutes_later_and_told_once(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta", "agency")
    accounts = len(await _usable(stage, person))
    await stage.events()
    await _one_empty_list(stage, "meta", count=20)

    for minutes in (0, 1, 3, 5):
        stage.clock.advance(timedelta(minutes=minutes))
        await stage.probe_all()

    assert await _usable(stage, person) == [False] * accounts
    assert await _told(stage) == [("account.access_changed", "lost")] * accounts


async def test_most_of_the_accounts_are_doubted_and_a_few_are_believed(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta", "agency")
    everything = (await stage.ask("GET", "/api/v1/accounts?limit=200", person.headers)).json["items"]
    names = [item["external_id"] for item in everything]
    for external_id in names[:2]:
        await stage.sim("PUT", f"people/agency/accounts/meta/{external_id}", {"lost": True})
    await stage.events()
    await stage.probe_all()
    assert await _told(stage) == [("account.access_changed", "lost")] * 2
    for external_id in names[2:15]:
        await stage.sim("PUT", f"people/agency/accounts/meta/{external_id}", {"lost": True})

    await stage.probe_all()

    assert await _told(stage) == []
    stage.clock.advance(timedelta(minutes=3))
    await stage.probe_all()
    assert await _told(stage) == [("account.access_changed", "lost")] * 13


async def test_an_empty_list_after_a_new_consent_loses_nothing(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta", "agency")
    accounts = len(await _usable(stage, person))
    connection_id = (await stage.connection(person))["connection_id"]
    await stage.events()
    await _one_empty_list(stage, "meta")

    reply = await stage.connect(person, "meta", "agency", (), connection_id=connection_id)

    assert "how=reauthorize" in reply.location
    assert await _usable(stage, person) == [True] * accounts
    assert await _told(stage) == []
