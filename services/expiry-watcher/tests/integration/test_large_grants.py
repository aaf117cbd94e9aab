"""Grants with more accounts than one event can name: the inventory knows how many there are, and finds each."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts import ACCOUNTS_PER_EVENT, AccountRef, Event, EventBody, TokenAccountsV1, TokenExpiringV1, decode
from common.runtime.ids import new_id
from expiry_watcher.core.tracked import TokenFilters, TokenScope
from expiry_watcher.operations import Deps, announce_due, forget, track
from expiry_watcher.store import queries

Days = Callable[[float], datetime]
Stories = Callable[..., Any]
TOTAL = 20_000
ACCOUNTS = tuple(
    AccountRef(account_id=new_id(), external_id=f"act_{number}", name=f"Shop {number}") for number in range(TOTAL)
)
ANYBODY = TokenScope(None, None)


def _pages(token: Any, at: datetime) -> list[Event[EventBody]]:
    count = TOTAL // ACCOUNTS_PER_EVENT
    return [
        Event(
            id=new_id(),
            time=at,
            source="oauth-svc",
            body=TokenAccountsV1(
                token=token.ref.model_copy(
                    update={"accounts": ACCOUNTS[page * ACCOUNTS_PER_EVENT : (page + 1) * ACCOUNTS_PER_EVENT]}
                ),
                page=page,
                pages=count,
            ),
        )
        for page in range(count)
    ]


async def _reaching(deps: Deps, account: AccountRef, now: datetime) -> list[UUID]:
    filters = TokenFilters(account_id=account.account_id)
    found = await queries.page(deps.pool, ANYBODY, filters, now=now, after=None, limit=10)
    return [token.token_id for token in found]


async def test_a_grant_with_20000_accounts_is_counted_found_by_each_and_warned_about(
    deps: Deps, story: Stories, days: Days
) -> None:
    token = story(accounts=ACCOUNTS[:ACCOUNTS_PER_EVENT], accounts_total=TOTAL)
    await track(deps, [token.issued(days(10)), *_pages(token, days(0))])

    held = await queries.one(deps.pool, ANYBODY, token.token_id, now=days(0))

    assert held is not None
    assert (len(held.accounts), held.accounts_total) == (ACCOUNTS_PER_EVENT, TOTAL)
    for account in (ACCOUNTS[0], ACCOUNTS[ACCOUNTS_PER_EVENT], ACCOUNTS[-1]):
        assert await _reaching(deps, account, days(0)) == [token.token_id]
    await announce_due(deps, days(4), 10)
    row = await deps.pool.fetchrow("SELECT payload, headers FROM outbox WHERE topic = 'token.expiring'")
    assert row is not None
    body = decode(row["payload"], [(name, value.encode()) for name, value in row["headers"].items()]).body
    assert isinstance(body, TokenExpiringV1)
    assert (len(body.token.accounts), body.token.accounts_total) == (ACCOUNTS_PER_EVENT, TOTAL)
    assert len(row["payload"]) < 200_000


async def test_pages_are_replaced_by_newer_ones_only_and_forgotten_with_their_token(
    deps: Deps, story: Stories, days: Days
) -> None:
    token = story(accounts=ACCOUNTS[:ACCOUNTS_PER_EVENT], accounts_total=TOTAL)
    issued = token.issued(days(10))
    old = _pages(token, days(0))
    refreshed = token.refreshed(days(20))
    emptied = [
        Event(
            id=new_id(),
            time=days(1),
            source="oauth-svc",
            body=TokenAccountsV1(token=token.ref.model_copy(update={"accounts": ()}), page=page, pages=1),
        )
        for page in range(1, len(old))
    ]

    await track(deps, [issued, *emptied, refreshed, *old])

    assert await _reaching(deps, ACCOUNTS[0], days(1)) == [token.token_id]
    assert await _reaching(deps, ACCOUNTS[-1], days(1)) == []
    await forget(deps, [token.token_id], days(2))
    assert await deps.pool.fetchval("SELECT count(*) FROM token_account_page") == 0
