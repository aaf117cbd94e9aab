"""A database that has no connection left answers as one that is away: later, and not "our fault"."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from common.postgres import connection

if TYPE_CHECKING:
    from tests.conftest import Stage


async def test_every_connection_is_taken(stage: Stage) -> None:
    person = stage.person(role="owner")
    await stage.connect(person)
    account = (await stage.connection(person))["accounts"][0]["account_id"]
    async with AsyncExitStack() as taken:
        for _ in range(stage.pool.get_max_size()):
            await taken.enter_async_context(connection(stage.pool))
        token = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
        assert (token.status, token.json["code"]) == (503, "temporarily_unavailable")
    token = await stage.ask("GET", f"/api/v1/accounts/{account}/access-token", stage.service())
    assert token.status == 200
