"""The inventory, the schedule and the sweep on a real PostgreSQL."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.contracts import Event, EventBody, TokenKind, TokenStatus
from common.postgres import Pool
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.core.tracked import TokenScope, TrackedToken
from expiry_watcher.operations import Deps, announce_due, choose_ladder, forget, track
from expiry_watcher.store import history, queries
from expiry_watcher.store.housekeeping import tidy

Days = Callable[[float], datetime]
Stories = Callable[..., Any]


async def sent(pool: Pool) -> list[tuple[str, str | None]]:
    """What the outbox holds, in order: topic and stage."""
    rows = await pool.fetch("SELECT topic, convert_from(payload, 'utf8')::jsonb AS body FROM outbox ORDER BY id")
    return [(row["topic"], row["body"].get("stage")) for row in rows]


async def sweep(deps: Deps, now: datetime) -> None:
    while (await announce_due(deps, now, 500)).more:
        pass


async def stored(deps: Deps, token: Any, now: datetime) -> TrackedToken:
    found = await queries.one(deps.pool, TokenScope(None, None), token.token_id, now=now)
    assert found is not None
    return found


async def test_the_ladder_is_climbed_once_and_ends_with_expiry(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    for day in (10, 45.9):
        await sweep(deps, days(day))
    assert await sent(deps.pool) == []
    for day in (46, 46, 53, 57, 59, 59.75, 59 + 23 / 24, 60, 61):
        await sweep(deps, days(day))
        await sweep(deps, days(day))
    stages = ["14d", "7d", "3d", "1d", "6h", "1h"]
    assert await sent(deps.pool) == [*(("token.expiring", stage) for stage in stages), ("token.expired", None)]
    assert await deps.pool.fetchval("SELECT count(*) FROM deadline") == 0


async def test_a_late_sweep_says_the_most_urgent_stage_only(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    await sweep(deps, days(59.5))
    assert await sent(deps.pool) == [("token.expiring", "1d")]


async def test_nothing_is_said_of_a_renewed_token(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    await track(deps, [token.refreshed(days(120))])
    await sweep(deps, days(61))
    assert await sent(deps.pool) == []
    await sweep(deps, days(106))
    assert await sent(deps.pool) == [("token.expiring", "14d")]


async def test_nothing_is_said_of_a_revoked_token(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(60)), token.revoked()])
    await sweep(deps, days(61))
    assert await sent(deps.pool) == []
    assert (await stored(deps, token, days(1))).expires_at == days(60), "the dates stay, for people who ask"


async def test_a_date_that_comes_back_is_not_announced_twice(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(10))])
    await sweep(deps, days(0))
    await track(deps, [token.refreshed(days(70))])
    await track(deps, [token.refreshed(days(10))])
    await sweep(deps, days(0))
    assert await sent(deps.pool) == [("token.expiring", "14d")]


@pytest.mark.parametrize("kind", [TokenKind.SESSION, TokenKind.TELEGRAM_LINK])
async def test_kinds_that_end_by_their_owner_have_no_ladder(
    deps: Deps, story: Stories, days: Days, kind: TokenKind
) -> None:
    token = story(kind=kind)
    await track(deps, [token.issued(days(1))])
    await sweep(deps, days(2))
    assert await sent(deps.pool) == []
    assert (await stored(deps, token, days(2))).status is TokenStatus.EXPIRED


async def test_the_owner_calling_a_token_expired_first_does_not_silence_us(
    deps: Deps, story: Stories, days: Days
) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    token.next()
    await track(deps, [token.state(TokenStatus.EXPIRED, at=days(60), expires_at=days(60))])
    await sweep(deps, days(60))
    await sweep(deps, days(60))
    assert await sent(deps.pool) == [("token.expired", None)]


async def test_old_news_changes_nothing_but_the_history(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    issued, refreshed = token.issued(days(60)), token.refreshed(days(90))
    assert (await track(deps, [refreshed])).applied == 1
    for late in (issued, issued, refreshed):
        result = await track(deps, [late])
        assert (result.applied, result.stale) == (0, 1)
    assert (await stored(deps, token, days(0))).expires_at == days(90)
    assert [line.what for line in await history.read(deps.pool, token.token_id, 10)] == ["refreshed", "issued"]


async def test_the_whole_state_completes_a_fact_of_the_same_version(deps: Deps, story: Stories, days: Days) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    whole = token.state(TokenStatus.ACTIVE, expires_at=days(60), missing_scopes=("ads_read",))
    assert (await track(deps, [whole])).applied == 1
    assert (await track(deps, [whole])).applied == 0
    assert (await stored(deps, token, days(0))).missing_scopes == ("ads_read",)


async def test_a_purged_token_is_gone_and_late_events_do_not_bring_it_back(
    deps: Deps, story: Stories, days: Days, now: datetime
) -> None:
    token = story()
    issued = token.issued(days(60))
    await track(deps, [issued])
    assert await forget(deps, [token.token_id], now) == 1
    await track(deps, [issued])
    assert await queries.one(deps.pool, TokenScope(None, None), token.token_id, now=now) is None
    await sweep(deps, days(61))
    assert await sent(deps.pool) == []


async def test_a_workspace_climbs_its_own_ladder(deps: Deps, story: Stories, days: Days, now: datetime) -> None:
    token = story()
    await track(deps, [token.issued(days(60))])
    workspace_id, owner = token.members["workspace_id"], token.members["owner_user_id"]
    assert await choose_ladder(deps, workspace_id, Ladder.parse(("30d", "2h")), owner, now) == 1
    for day in (0, 30, 46, 53, 59 + 22.5 / 24):
        await sweep(deps, days(day))
    assert await sent(deps.pool) == [("token.expiring", "30d"), ("token.expiring", "2h")]


async def test_two_sweeps_at_once_share_the_work(deps: Deps, story: Stories, days: Days) -> None:
    tokens = [story() for _ in range(200)]
    await track(deps, [token.issued(days(10)) for token in tokens])
    results = await asyncio.gather(*(announce_due(deps, days(1), 60) for _ in range(4)))
    await sweep(deps, days(1))
    assert sum(result.said for result in results) > 60
    assert len(await sent(deps.pool)) == len(tokens)


async def test_a_renewal_that_is_committed_first_silences_the_sweep(deps: Deps, story: Stories, days: Days) -> None:
    """Concurrent renewals and sweeps: each token is announced by its old date, or by none; never after renewal."""
    tokens = [story() for _ in range(100)]
    await track(deps, [token.issued(days(10)) for token in tokens])
    renewals: list[Event[EventBody]] = [token.refreshed(days(90)) for token in tokens]
    await asyncio.gather(
        *(track(deps, renewals[start : start + 10]) for start in range(0, 100, 10)),
        *(announce_due(deps, days(1), 10) for _ in range(10)),
    )
    said = len(await sent(deps.pool))
    await sweep(deps, days(1) + timedelta(hours=1))
    assert len(await sent(deps.pool)) == said


async def test_what_is_old_is_forgotten_except_what_was_said_of_a_tokens_own_date(
    deps: Deps, story: Stories, days: Days
) -> None:
    ended, renewed, called = story(), story(), story()
    await track(deps, [ended.issued(days(1)), renewed.issued(days(1)), called.issued(None)])
    called.next()
    await track(deps, [called.state(TokenStatus.EXPIRED, at=days(1))])
    await sweep(deps, days(2))
    await track(deps, [renewed.refreshed(days(900))])
    assert await tidy(deps.pool, days(80)) == 0
    assert await tidy(deps.pool, days(500)) > 0
    assert await tidy(deps.pool, days(500)) == 0
    marks = await deps.pool.fetch("SELECT token_id FROM warning_mark")
    assert {row["token_id"] for row in marks} == {ended.token_id, called.token_id}
