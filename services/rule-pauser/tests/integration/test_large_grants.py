"""Grants with more accounts than one event can name: the rest comes page by page, in any order."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from common.contracts import ACCOUNTS_PER_EVENT, Event, EventBody, IssuedHow, TokenAccountsV1
from common.runtime.ids import new_id

Grants = Callable[..., Any]
ACCOUNTS = 3 * ACCOUNTS_PER_EVENT + 1


def _short(event: Event[EventBody]) -> Event[EventBody]:
    """The event as a large grant's owner sends it: with the first accounts and the total."""
    body: Any = event.body
    token = body.token.model_copy(
        update={"accounts": body.token.accounts[:ACCOUNTS_PER_EVENT], "accounts_total": len(body.token.accounts)}
    )
    return Event(id=event.id, time=event.time, source=event.source, body=body.model_copy(update={"token": token}))


def _pages(grant: Any) -> list[Event[EventBody]]:
    ref = grant.ref()
    chunks = [
        ref.accounts[start : start + ACCOUNTS_PER_EVENT] for start in range(0, len(ref.accounts), ACCOUNTS_PER_EVENT)
    ]
    return [
        Event(
            id=new_id(),
            time=grant.at,
            source="oauth-svc",
            body=TokenAccountsV1(
                token=ref.model_copy(update={"accounts": chunk, "accounts_total": len(ref.accounts)}),
                page=number,
                pages=len(chunks),
            ),
        )
        for number, chunk in enumerate(chunks)
    ]


@pytest.mark.parametrize("order", ["pages last", "pages first", "death before pages", "shuffled"])
async def test_rules_on_every_page_follow_the_grant(house: Any, grant: Grants, order: str) -> None:
    meta = grant(accounts=ACCOUNTS)
    first, last = await house.define(meta.account_ids[0]), await house.define(meta.account_ids[-1])
    issued = _short(meta.issued())
    pages = _pages(meta)
    revoked = _short(meta.revoked())
    events = {
        "pages last": [issued, *pages, revoked],
        "pages first": [*pages, issued, revoked],
        "death before pages": [issued, revoked, *pages],
        "shuffled": random.Random(7).sample([issued, *pages, revoked], len(pages) + 2),  # noqa: S311  an order
    }[order]

    await house.hear(*events)

    assert (await house.paused(first), await house.paused(last)) == (True, True)
    await house.hear(_short(meta.issued(IssuedHow.REAUTHORIZE)))
    assert (await house.paused(first), await house.paused(last)) == (False, False)


async def test_pages_told_again_change_nothing_and_a_dead_grants_pages_take_no_account_away(
    house: Any, grant: Grants
) -> None:
    old, new = grant(accounts=ACCOUNTS), grant()
    await house.hear(_short(old.issued()), *_pages(old), _short(old.revoked()))
    new.accounts = (old.accounts[-1],)
    rule = await house.define(old.account_ids[-1])
    assert await house.paused(rule)

    await house.hear(new.issued())
    assert await house.hear(*_pages(old)) == [False] * 4

    assert not await house.paused(rule)
