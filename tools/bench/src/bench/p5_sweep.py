"""P5: what a sweep of expiry-watcher costs with nothing due, by tokens tracked; and how fast a burst leaves.

The processes of all sizes run side by side on one server, so that a drift of the machine meets each of them alike.
"""

import asyncio
import statistics
import time

import aiohttp

from bench import tracked
from bench.results import Result
from bench.stack import Running, Stack
from bench.wire import Tally, hearing
from common.runtime.clock import monotonic

MUST = 1.25
AIM_PER_S = 5_000
PREFIX = "p5-{}."
SWEEP_EVERY_S = 0.02
BURST_LEAD_S = 4.0
PATIENCE_S = 120.0
METRIC = "wevion_expiry_watcher_sweep_seconds"
CPU = "process_cpu_seconds_total"
NO_KEYS = "http://127.0.0.1:9/jwks"
"""Nobody calls these services, so there is no JWT to verify."""


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """The sizes side by side, then the burst on top of the largest."""
    sizes = (10_000, 50_000) if quick else (10_000, 100_000, 1_000_000)
    rounds, seconds = (3, 2.0) if quick else (7, 4.0)
    watchers = [await _watcher(stack, size) for size in sizes]
    costs: list[list[float]] = [[] for _ in sizes]
    async with aiohttp.ClientSession() as http:
        for number in range(-1, rounds):  # the first round only warms up
            found = await asyncio.gather(*(_cost_ms(http, watcher, seconds) for watcher in watchers))
            for size_costs, cost in zip(costs, found, strict=True):
                if number >= 0:
                    size_costs.append(cost)
    for watcher in watchers:
        watcher.child.stop()
    by_size = [statistics.median(size_costs) for size_costs in costs]
    growth = statistics.median(largest / smallest for smallest, largest in zip(costs[0], costs[-1], strict=True))
    details: dict[str, float | str] = {f"ms at {size:,}": cost for size, cost in zip(sizes, by_size, strict=True)}
    details |= await _burst(stack, watchers[-1].dsn, 5_000 if quick else 20_000)
    return [
        Result(
            id="P5",
            measure=f"a sweep with nothing due, {sizes[-1]:,} tracked against {sizes[0]:,}",
            ours=by_size[-1],
            ceiling=by_size[0],
            ratio=growth,
            unit="ms",
            must=f"<= {MUST} (aim: and {AIM_PER_S:,} due/s)",
            met=max(by_size) / by_size[0] <= MUST and growth <= MUST,
            details=details,
        )
    ]


async def _watcher(stack: Stack, size: int) -> Running:
    prefix = PREFIX.format(size)
    dsn = await stack.database("expiry_watcher")
    await tracked.track(dsn, size)
    await stack.topics(prefix)
    return await stack.service(
        "expiry-watcher",
        "expiry_watcher",
        prefix,
        database_url=dsn,
        jwks_url=NO_KEYS,
        sweep_max_wait_s=SWEEP_EVERY_S,
    )


async def _cost_ms(http: aiohttp.ClientSession, watcher: Running, seconds: float) -> float:
    before = await _sweeps(http, watcher)
    await asyncio.sleep(seconds)
    after = await _sweeps(http, watcher)
    return (after[0] - before[0]) / (after[1] - before[1]) * 1000


async def _sweeps(http: aiohttp.ClientSession, watcher: Running) -> tuple[float, float]:
    """Seconds spent in sweeps so far, and their number."""
    values = await _metrics(http, watcher)
    return values[f"{METRIC}_sum"], values[f"{METRIC}_count"]


async def _metrics(http: aiohttp.ClientSession, watcher: Running) -> dict[str, float]:
    """The samples that this benchmark reads; none of them has labels, except for the histogram's buckets."""
    async with http.get(f"{watcher.url}/metrics") as answer:
        lines = [line.split(" ") for line in (await answer.text()).splitlines()]
    return {line[0]: float(line[1]) for line in lines if line[0].startswith((METRIC, CPU))}


async def _burst(stack: Stack, dsn: str, count: int) -> dict[str, float]:
    """Equal deadlines, with the pace set out of the way: what the ladder itself does, to the last one on the wire."""
    prefix = PREFIX.format("burst")
    await stack.topics(prefix)
    watcher = await stack.service(
        "expiry-watcher", "expiry_watcher", prefix, database_url=dsn, jwks_url=NO_KEYS, ladder_rate_per_s=100_000
    )
    tally = Tally()
    async with hearing(stack, prefix, ["token.expiring"], tally), aiohttp.ClientSession() as http:
        due = await tracked.make_due(dsn, count, in_s=BURST_LEAD_S)
        due_at = next(iter(due.values()))
        cpu_before = (await _metrics(http, watcher))[CPU]
        last = await tally.reaches(count, within_s=PATIENCE_S)
        cpu_after = (await _metrics(http, watcher))[CPU]
    watcher.child.stop()
    on_the_wire_s = last - (due_at.timestamp() - time.time() + monotonic())
    marked_s = (await tracked.last_marked(dsn) - due_at).total_seconds()
    return {
        "burst, marked due/s": count / marked_s,
        "burst, on the wire due/s": count / on_the_wire_s,
        "burst, CPU s of the service": cpu_after - cpu_before,
        "burst, s": on_the_wire_s,
    }
