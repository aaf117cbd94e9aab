"""Lists of accounts as platforms give them: in pages, in parts that fail, longer than a person waits (T2.18, T2.19)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.testing import eventually
from oauth_svc import metrics

if TYPE_CHECKING:
    from tests.conftest import Person, Stage


async def _accounts(stage: Stage, person: Person, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        asked = {"limit": "200", **query, **({"cursor": cursor} if cursor else {})}
        body = (await stage.ask("GET", "/api/v1/accounts", person.headers, params=asked)).json
        found += body["items"]
        if body["next_cursor"] is None:
            return found
        cursor = body["next_cursor"]


async def test_every_page_of_google_is_read_and_nothing_is_lost_by_it(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "google-ads", "agency")
    before = {item["external_id"] for item in await _accounts(stage, person)}
    await stage.sim("PUT", "modes/google-ads", {"search_page": 2})

    await stage.probe_all()

    after = await _accounts(stage, person)
    assert {item["external_id"] for item in after if item["usable"]} == before
    assert len(before) == 20


async def test_snapchats_organizations_come_in_pages(stage: Stage) -> None:
    await stage.sim("PUT", "modes/snapchat", {"organizations": 5, "organizations_per_page": 2})
    person = stage.person()

    await stage.connect(person, "snapchat", "agency")

    assert len(await _accounts(stage, person)) == 20


@pytest.mark.parametrize(
    ("modes", "unasked"),
    [({"organizations": 2, "refused_organization": 1}, 10), ({"failed_items": 3}, 3)],
    ids=["one organization answers 403", "three items failed by themselves"],
)
async def test_a_part_that_could_not_be_asked_is_said_to_be_that(
    stage: Stage, modes: dict[str, Any], unasked: int
) -> None:
    person = stage.person()
    await stage.connect(person, "snapchat", "agency")
    await stage.events()
    await stage.sim("PUT", "modes/snapchat", modes)

    await stage.probe_all()

    found = await _accounts(stage, person)
    assert sum(not item["asked"] for item in found) == unasked
    assert all(item["usable"] for item in found)
    assert [topic for topic, _ in await stage.events() if topic == "account.access_changed"] == []
    one = next(item for item in found if not item["asked"])
    verified = (await stage.ask("POST", f"/api/v1/accounts/{one['account_id']}/verify", person.headers)).json
    assert (verified["verified"], "could not be asked" in verified["explanation"]) == (False, True)
    await stage.sim("PUT", "modes/snapchat", {"refused_organization": None, "failed_items": 0})
    await stage.probe_all()
    assert all(item["asked"] for item in await _accounts(stage, person))


async def test_a_list_that_takes_long_goes_on_after_the_answer_and_shows_how_far_it_is(stage: Stage) -> None:
    known = {"key": "vast", "name": "V", "email": "v@vast.example", "accounts": {"meta": 1_000}}
    await stage.sim("POST", "people", known)
    slow = {"provider": "meta", "endpoint": "accounts", "kind": "slow", "delay_ms": 700, "count": 20}
    await stage.sim("POST", "faults", slow)
    person = stage.person()

    reply = await stage.connect(person, "meta", "vast")

    assert "how=connect" in reply.location
    begun = await stage.connection(person)
    assert (begun["listing"]["state"], begun["accounts_total"]) == ("under_way", 0)
    seen: list[int] = []

    async def listed() -> bool:
        listing = (await stage.connection(person))["listing"]
        seen.append(listing["found"] or 0)
        return bool(listing["state"] == "complete")

    probing = asyncio.create_task(stage.probe_all())
    assert await eventually(listed, 30)
    await probing
    done = await stage.connection(person)
    assert (done["accounts_total"], done["accounts_lost"], len(done["accounts"])) == (1_000, 0, 500)
    assert any(0 < count < 1_000 for count in seen)
    assert len(await _accounts(stage, person, connection_id=done["connection_id"])) == 1_000


async def test_a_list_that_failed_is_told_with_its_reason_and_tried_again(stage: Stage) -> None:
    fault = {"provider": "meta", "endpoint": "accounts", "kind": "status", "status": 503, "count": 2}
    await stage.sim("POST", "faults", fault)
    person = stage.person()

    await stage.connect(person, "meta", "avery")
    await stage.probe_all()

    failed = (await stage.connection(person))["listing"]
    assert (failed["state"], failed["reason"].partition(":")[0]) == ("failed", "retry_later")
    await stage.probe_all()
    done = await stage.connection(person)
    assert (done["listing"]["state"], done["accounts_total"]) == ("complete", 3)


async def test_twenty_thousand_advertisers_in_one_answer(stage: Stage) -> None:
    known = {"key": "vast", "name": "V", "email": "v@vast.example", "accounts": {"tiktok": 20_000}}
    await stage.sim("POST", "people", known)
    person = stage.person()

    await stage.connect(person, "tiktok", "vast")
    await stage.probe_all()

    found = await stage.connection(person)
    assert (found["listing"]["state"], found["accounts_total"], found["accounts_lost"]) == ("complete", 20_000, 0)


async def test_where_listing_costs_a_quota_it_is_done_once_a_day_or_when_somebody_asks(stage: Stage) -> None:
    """Google counts operations a day and project; `tokeninfo` is none of them."""
    person = stage.person()
    assert (await stage.connect(person, "google-ads")).status == 302
    assert stage.deps.providers["google-ads"].profile.list_every == timedelta(days=1)

    await stage.probe_all(sparing=True)  # the first one lists
    account = (await _accounts(stage, person))[0]
    await stage.sim("PUT", f"people/avery/accounts/google-ads/{account['external_id']}", {"lost": True})

    async def usable() -> bool:
        found = await _accounts(stage, person)
        return bool(next(each["usable"] for each in found if each["account_id"] == account["account_id"]))

    await stage.probe_all(sparing=True)
    assert await usable(), "the grant alone was asked about"
    assert (await stage.connection(person))["status"] == "active"
    stage.clock.advance(timedelta(days=1, minutes=1))
    await stage.probe_all(sparing=True)
    assert not await usable()

    await stage.sim("PUT", f"people/avery/accounts/google-ads/{account['external_id']}", {"lost": False})
    await stage.probe_all(sparing=True)
    assert not await usable()
    checked = await stage.ask("POST", f"/api/v1/accounts/{account['account_id']}/verify", person.headers)
    assert (checked.status, checked.json["verified"]) == (200, True), "a person who asks is answered"

    await stage.sim("PUT", f"people/avery/accounts/google-ads/{account['external_id']}", {"lost": True})
    error = {"error": {"details": [{"errors": [{"errorCode": {"authorizationError": "USER_PERMISSION_DENIED"}}]}]}}
    report = {"status": 403, "body": json.dumps(error)}
    path = f"/api/v1/accounts/{account['account_id']}/failures"
    assert (await stage.ask("POST", path, stage.service(), json=report)).status < 300
    await stage.probe_all(sparing=True)
    assert not await usable(), "and so is a service that was refused"


async def test_a_revoked_grant_is_found_without_a_list(stage: Stage) -> None:
    person = stage.person()
    assert (await stage.connect(person, "google-ads")).status == 302
    await stage.probe_all(sparing=True)
    await stage.sim("POST", "grants/google-ads/avery/revoke", {"cause": "user_revoked", "webhook": "none"})
    await stage.probe_all(sparing=True)
    assert (await stage.connection(person))["status"] == "revoked"


async def test_what_a_list_costs_is_counted(stage: Stage) -> None:
    await stage.sim("PUT", "modes/google-ads", {"search_page": 2})
    before = float(metrics.OPERATIONS.labels("google-ads")._value.get())
    person = stage.person()
    await stage.connect(person, "google-ads", "agency")
    once = float(metrics.OPERATIONS.labels("google-ads")._value.get()) - before
    assert once > 10, "each page of each customer is an operation"
    await stage.probe_all()
    assert float(metrics.OPERATIONS.labels("google-ads")._value.get()) - before == 2 * once
