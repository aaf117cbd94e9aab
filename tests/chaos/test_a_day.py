"""R8: the work of a day in a loop. Short: what was promised holds. Long (`make chaos`): nothing leaks, in any service.

A leak is what stays and goes on: of each gauge the *least* value of each of four windows under the same load is
compared. Work in progress cannot raise a least value, and something that grows once (a pool that opens, a heap that
finds its size) does not grow in every window. Twenty seconds hold too little work to tell a leak from that, so the
short form judges none.

- Tasks and open files are counted one by one; the slack is for what ends a little later than its cause, and for a
  database pool that opens to its limit. A leak of one per hundred operations is above it.
- Connections are held against the limit of the pools, at every sample.
- Memory: what an operation may leave behind by design is an ended session in the revocation set (about 100 bytes, for
  an hour) and rows of bounded caches. `BYTES_PER_OPERATION` is an order of magnitude above that and an order below
  what one forgotten request would hold; `ALLOCATOR_BYTES` is what glibc's arenas move by without any leak.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from common.runtime.ids import random_bytes
from common.service.settings import ServiceSettings
from common.testing import eventually
from devstack.browser import Browser
from devstack.chaos import Chaos, Databases, Ledger, Samples, imported, promises_kept
from devstack.record import some
from devstack.services import SERVICES
from devstack.stack import Stack
from devstack.traffic import Traffic
from devstack.witness import persist

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY_S = 10.0
WARM_UP = 0.3
WINDOWS = 4
START_S = 60.0
#: An idle service's polls and probes allocate and free fewer in a second.
RESTING_BLOCKS = 1500
SAMPLE_S = 0.5
GRANTS = 80
#: Renewed at half of it: 80 grants make 40 refreshes a second.
ACCESS_S = 4
BYTES_PER_OPERATION = 1024
ALLOCATOR_BYTES = 6 * 1024 * 1024
#: A block holds an object of up to 512 bytes; the cycle collector lets garbage of some thousand objects stand.
BLOCKS_PER_OPERATION = 8
COLLECTOR_BLOCKS = 20_000
POOL = ServiceSettings.model_fields["database_pool_size"].default
#: One connection listens, one commands.
BESIDE_THE_POOL = 2
SLACK = {"tasks": 8, "files": 10 + POOL}


@dataclass(frozen=True, slots=True)
class Sample:
    """One part at one moment; `operations` is how much had been done by then, by all parts together."""

    part: str
    operations: int
    tasks: float
    files: float
    resident: float
    blocks: float
    connections: float


async def test_a_day_in_a_loop_keeps_its_promises_and_leaks_nothing(stack: Stack, chaos: Chaos) -> None:
    await eventually(lambda: at_rest(stack), START_S, what="every service has loaded what it loads at its start")
    await stack.platforms.lifetimes("rfc6749", access_s=ACCESS_S)
    await imported(stack, GRANTS)
    since = await Ledger.written(stack)
    samples: list[list[Sample]] = []
    async with Traffic.flowing(stack.told(), chaos.chance, staff=3) as traffic, Databases.opened(stack) as databases:
        removing = asyncio.create_task(people_remove_the_app(stack, traffic))
        end = time.monotonic() + chaos.seconds(DAY_S)
        report_at = time.monotonic() + 15
        while time.monotonic() < end:
            operations = traffic.count("accepted") + await Ledger.written(stack) - since
            samples.append(await sample(stack, databases, operations))
            if time.monotonic() > report_at:
                chaos.say(f"{operations} operations; {in_short(samples[-1])}")
                report_at += 15
            await asyncio.sleep(SAMPLE_S)
        removing.cancel()
        await asyncio.gather(removing, return_exceptions=True)
        await stack.platforms.lifetimes("rfc6749", access_s=3600)
        await traffic.stop()
        chaos.say(f"{samples[-1][0].operations} operations: {traffic.accepted()}; {in_short(samples[-1])}")
        await promises_kept(stack, traffic)
    parts = [[each[part] for each in samples] for part in range(len(samples[0]))]
    assert not (over := [leak for part in parts for leak in beyond_the_pools(part, replicas(stack))]), some(over)
    if chaos.minutes:
        assert not (leaks := [leak for part in parts for leak in grown(part, chaos)]), some(leaks)


async def at_rest(stack: Stack) -> bool:
    """Nobody's memory moves by itself any more: the notifier loads a large library after it is ready."""
    async with Databases.opened(stack) as databases:
        before = await sample(stack, databases, 0)
        await asyncio.sleep(1)
        after = await sample(stack, databases, 0)
    moving = [b.part for a, b in zip(before, after, strict=True) if b.blocks - a.blocks > RESTING_BLOCKS]
    assert not moving, moving
    return True


async def sample(stack: Stack, databases: Databases, operations: int) -> list[Sample]:
    rows = await databases["session-svc"].fetch(
        "SELECT application_name AS part, count(*) AS n FROM pg_stat_activity GROUP BY 1"
    )
    connections = {row["part"]: row["n"] for row in rows}
    names = [name for name in stack.supervisor.names() if name.partition("#")[0] in SERVICES]
    seen = await asyncio.gather(*(Samples.of(stack, name) for name in names))
    return [
        Sample(
            part=name,
            operations=operations,
            tasks=found.total("wevion_asyncio_tasks"),
            files=found.total("process_open_fds"),
            resident=found.total("process_resident_memory_bytes"),
            blocks=found.total("wevion_python_allocated_blocks"),
            connections=connections.get(name.partition("#")[0], 0),
        )
        for name, found in zip(names, seen, strict=True)
    ]


def replicas(stack: Stack) -> Counter[str]:
    return Counter(name.partition("#")[0] for name in stack.supervisor.names())


def beyond_the_pools(history: Sequence[Sample], replicas: Mapping[str, int]) -> list[str]:
    """What held more connections at some moment than the pools of its replicas may open."""
    service = history[0].part.partition("#")[0]
    most = replicas[service] * (POOL + BESIDE_THE_POOL)
    seen = max(each.connections for each in history)
    return [f"{service}: {seen:.0f} connections, its pools allow {most}"] if seen > most else []


def grown(history: Sequence[Sample], chaos: Chaos) -> list[str]:
    """What one part holds more of in each window after the warm-up than in the one before it, and too much in all."""
    warm = int(len(history) * WARM_UP)
    size = (len(history) - warm) // WINDOWS
    windows = [history[warm + size * number : warm + size * (number + 1)] for number in range(WINDOWS)]
    operations = windows[-1][-1].operations - windows[0][-1].operations
    allowed = {
        **SLACK,
        "resident": ALLOCATOR_BYTES + BYTES_PER_OPERATION * operations,
        "blocks": COLLECTOR_BLOCKS + BLOCKS_PER_OPERATION * operations,
    }
    part = history[0].part
    levels = {name: [least(window, name) for window in windows] for name in allowed}
    growth = {name: level[-1] - level[0] for name, level in levels.items()}
    shown = ", ".join(f"{name} {change:+.0f}" for name, change in growth.items())
    chaos.say(f"{part}: over {operations} operations {shown}")
    return [
        f"{part}: {name} grew by {growth[name]:.0f} ({levels[name]}), allowed {most}"
        for name, most in allowed.items()
        if growth[name] > most and all(later > earlier for earlier, later in pairwise(levels[name]))
    ]


def least(stretch: Sequence[Sample], name: str) -> float:
    return min(float(getattr(each, name)) for each in stretch)


def in_short(samples: Sequence[Sample]) -> str:
    megabytes = sum(each.resident for each in samples) / 2**20
    return (
        f"all services: {megabytes:.0f} MB, {sum(each.tasks for each in samples):.0f} tasks, "
        f"{sum(each.files for each in samples):.0f} files"
    )


async def people_remove_the_app(stack: Stack, traffic: Traffic) -> None:
    """Somebody connects Meta, puts a rule on it and removes the app again: revocation, pause, notices, mail."""
    owner = next(user for user in stack.told()["users"] if user["role"] == "owner")
    async with Browser(stack.addresses.public_url, address="10.9.9.9") as browser:
        await persist(lambda: browser.sign_in(owner["email"], owner["password"]), "the sign-in")
        while True:
            key = f"day-{random_bytes(4).hex()}"
            order: dict[str, Any] = {"key": key, "name": "Dee Day", "email": f"{key}@northwind.example"}
            await stack.platforms.order("POST", "/_sim/people", order | {"brand": "Northwind", "accounts": {"meta": 2}})
            await browser.consent("meta", key)
            await stack.platforms.revoke("meta", key, cause="user_revoked")
            traffic.tries["removal", "accepted"] += 1
            await asyncio.sleep(1)
