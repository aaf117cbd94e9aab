"""Grants with thousands of accounts: no event comes near Kafka's limit, and the pages name every account (T2.19)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from common.contracts import ACCOUNTS_PER_EVENT

if TYPE_CHECKING:
    from tests.conftest import Stage

KAFKA_LIMIT = 1_000_000


async def _agency(stage: Stage, accounts: int) -> list[str]:
    known = {"key": "vast", "name": "V", "email": "v@vast.example", "accounts": {"meta": accounts}}
    return [a["id"] for a in (await stage.sim("POST", "people", known))["accounts"]["meta"]]


def _pages(events: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [body for topic, body in events if topic == "token.accounts"]


@pytest.mark.parametrize(("accounts", "pages"), [(ACCOUNTS_PER_EVENT, 0), (ACCOUNTS_PER_EVENT + 1, 2), (2_001, 5)])
async def test_a_list_that_does_not_fit_an_event_is_sent_in_pages(stage: Stage, accounts: int, pages: int) -> None:
    external_ids = await _agency(stage, accounts)
    person = stage.person()

    await stage.connect(person, "meta", "vast")
    await stage.probe_all()

    events = await stage.events()
    assert max(len(json.dumps(body)) for _, body in events) < KAFKA_LIMIT
    (issued,) = [body for topic, body in events if topic == "token.issued"]
    assert len(issued["token"]["accounts"]) == min(accounts, ACCOUNTS_PER_EVENT)
    assert issued["token"]["accounts_total"] == (accounts if pages else None)
    told = _pages(events)
    assert [(page["page"], page["pages"]) for page in told[:pages]] == [(number, pages) for number in range(pages)]
    if pages:
        named = [account["external_id"] for page in told for account in page["token"]["accounts"]]
        assert sorted(named) == sorted(external_ids)


async def test_pages_that_are_not_needed_any_more_are_sent_empty(stage: Stage) -> None:
    external_ids = await _agency(stage, ACCOUNTS_PER_EVENT + 2)
    person = stage.person()
    await stage.connect(person, "meta", "vast")
    await stage.probe_all()
    await stage.events()
    for external_id in external_ids[:2]:
        await stage.sim("PUT", f"people/vast/accounts/meta/{external_id}", {"lost": True})

    await stage.probe_all()

    assert [len(page["token"]["accounts"]) for page in _pages(await stage.events())] == [0, 0]
