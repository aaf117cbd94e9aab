"""The sweep as the service runs it: its pace, its sleep, and what it says of itself in metrics."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.postgres import Pool
from common.runtime.ids import new_id
from common.telemetry.metrics import value
from common.testing.clock import ManualClock
from expiry_watcher import metrics
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.operations import Deps, choose_ladder, measure_backlog, track
from expiry_watcher.sweep import BATCH, Sweep

Days = Callable[[float], datetime]
Stories = Callable[..., Any]
MOMENT = timedelta(milliseconds=1)


async def said(pool: Pool) -> Counter[tuple[str, str]]:
    """What was announced so far, and how often: token and stage."""
    rows = await pool.fetch("SELECT key, convert_from(payload, 'utf8')::jsonb AS body FROM outbox")
    return Counter((row["key"], row["body"].get("stage", "expired")) for row in rows)


def capacity(limit: str) -> float:
    return value("wevion_expiry_watcher_at_capacity_total", {"limit": limit})


async def work_off(sweep: Sweep, clock: ManualClock) -> list[tuple[datetime, int]]:
    """Run the sweep as its loop would until nothing is due; returns what left when."""
    left: list[tuple[datetime, int]] = []
    while True:
        status = await sweep.run_once()
        left.append((clock.now(), status.said))
        if status.more:
            continue
        delay = await sweep.next_delay()
        if delay is None or delay > 60:
            return left
        clock.advance(max(timedelta(seconds=delay), MOMENT))


async def test_a_burst_of_equal_deadlines_is_spread_without_missing_its_stage(
    deps: Deps, story: Stories, days: Days
) -> None:
    tokens = [story() for _ in range(600)]
    await track(deps, [token.issued(days(20)) for token in tokens])
    clock, rate, before = ManualClock(days(6)), 100, capacity("pace")
    left = await work_off(Sweep(deps, clock, rate_per_s=rate), clock)
    announced = await said(deps.pool)
    assert set(announced) == {(str(token.token_id), "14d") for token in tokens}
    assert set(announced.values()) == {1}, "each once"
    for start, _ in left:
        within = sum(count for at, count in left if start <= at < start + timedelta(seconds=1))
        assert within <= 2 * rate, "never more than a full bucket and what a second adds"
    took = (left[-1][0] - days(6)).total_seconds()
    assert took >= (len(tokens) - rate) / rate - 0.1, "spread"
    assert took < 10, "and long over before the next stage"
    assert capacity("pace") > before
    assert len([count for _, count in left if count]) < len(tokens) / 4, "in portions, not one transaction each"


async def test_what_is_due_longest_leaves_first(deps: Deps, story: Stories, days: Days) -> None:
    tokens = [story() for _ in range(50)]
    for day, token in enumerate(tokens):
        await track(deps, [token.issued(days(100 - day))])
    clock = ManualClock(days(100 - 14))
    sweep = Sweep(deps, clock, rate_per_s=20)
    assert (await sweep.run_once()).said == 20
    first = {key for key, _ in await said(deps.pool)}
    assert first == {str(token.token_id) for token in tokens[-20:]}


async def test_more_than_a_batch_is_seen_as_such(deps: Deps, story: Stories, days: Days) -> None:
    await track(deps, [story().issued(days(10)) for _ in range(BATCH + 1)])
    clock, before = ManualClock(days(0)), capacity("batch")
    sweep = Sweep(deps, clock, rate_per_s=100_000)
    assert (await sweep.run_once()).more
    assert capacity("batch") == before + 1
    rest = await sweep.run_once()
    assert (rest.said, rest.more) == (1, False)


async def test_it_sleeps_until_the_next_step_and_not_past_a_new_one(deps: Deps, story: Stories, days: Days) -> None:
    clock = ManualClock(days(0))
    sweep = Sweep(deps, clock, rate_per_s=100)
    await sweep.run_once()
    assert await sweep.next_delay() is None
    assert sweep.sleeps_past(days(500)), "with no deadline at all it would sleep past any"
    await track(deps, [story().issued(days(20))])
    assert await sweep.next_delay() == timedelta(days=6).total_seconds()
    assert sweep.sleeps_past(days(5))
    assert not sweep.sleeps_past(days(7))


@pytest.mark.parametrize("alive_for", [13.5, 9, 7.5])
async def test_a_token_connected_late_is_warned_at_once_inside_the_window(
    deps: Deps, story: Stories, days: Days, alive_for: float
) -> None:
    token = story()
    await track(deps, [token.issued(days(alive_for))])
    clock = ManualClock(days(0))
    await Sweep(deps, clock, rate_per_s=100).run_once()
    assert await said(deps.pool) == {(str(token.token_id), "14d"): 1}
    clock.set(days(alive_for - 7))
    await Sweep(deps, clock, rate_per_s=100).run_once()
    assert (str(token.token_id), "7d") in await said(deps.pool)


async def test_reminders_that_were_due_while_we_were_down_go_out_once_as_the_present_stage(
    deps: Deps, story: Stories, days: Days
) -> None:
    near, far = story(), story()
    await track(deps, [near.issued(days(20)), far.issued(days(30))])
    clock = ManualClock(days(18))  # near has missed 14d, 7d and 3d, far has missed nothing but 14d
    for _ in range(2):
        await work_off(Sweep(deps, clock, rate_per_s=100), clock)
    assert await said(deps.pool) == {(str(near.token_id), "3d"): 1, (str(far.token_id), "14d"): 1}


async def test_each_workspace_climbs_its_own_ladder_beside_the_others(deps: Deps, story: Stories, days: Days) -> None:
    ours, theirs = story(workspace_id=new_id()), story(workspace_id=new_id())
    await choose_ladder(deps, theirs.members["workspace_id"], Ladder.parse(("10d", "2d")), new_id(), days(0))
    await track(deps, [ours.issued(days(20)), theirs.issued(days(20))])
    for day in (6, 10, 13, 18, 20):
        clock = ManualClock(days(day))
        await work_off(Sweep(deps, clock, rate_per_s=100), clock)
    stages = {
        token.token_id: {stage for key, stage in await said(deps.pool) if key == str(token.token_id)}
        for token in (ours, theirs)
    }
    assert stages[ours.token_id] == {"14d", "7d", "3d", "expired"}
    assert stages[theirs.token_id] == {"10d", "2d", "expired"}


async def test_the_delay_of_a_notice_is_measured_from_its_own_moment(deps: Deps, story: Stories, days: Days) -> None:
    def observed() -> tuple[float, float]:
        name = "wevion_expiry_watcher_notice_delay_seconds"
        return value(f"{name}_count", {"stage": "7d"}), value(f"{name}_sum", {"stage": "7d"})

    count, total = observed()
    await track(deps, [story().issued(days(20))])
    clock = ManualClock(days(13) + timedelta(seconds=90))
    await Sweep(deps, clock, rate_per_s=100).run_once()
    after, sum_after = observed()
    assert after == count + 1
    assert sum_after == pytest.approx(total + 90)


async def test_the_backlog_is_told_by_lateness(deps: Deps, story: Stories, days: Days) -> None:
    for late in (timedelta(0), timedelta(seconds=30), timedelta(seconds=45), timedelta(minutes=5), timedelta(hours=2)):
        await track(deps, [story().issued(days(14) - late)])
    await measure_backlog(deps, days(0))
    name = "wevion_expiry_watcher_backlog_steps"
    assert {late: value(name, {"lateness": late}) for late in metrics.LATENESS} == {
        "under_1s": 1,
        "under_1m": 2,
        "under_1h": 1,
        "over_1h": 1,
    }
    clock = ManualClock(days(0))
    await work_off(Sweep(deps, clock, rate_per_s=100), clock)
    await measure_backlog(deps, days(0))
    assert all(value(name, {"lateness": late}) == 0 for late in metrics.LATENESS)
