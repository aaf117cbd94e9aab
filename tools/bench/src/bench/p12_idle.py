"""P12: what an idle service keeps in memory, and how long the whole `make run` takes when it was run before.

The stack is `devstack up` as a person starts it. Its first start makes the demo workspace and is not measured.
"""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from bench.results import Result
from bench.stack import Stack
from common.runtime.clock import monotonic
from common.testing.processes import Child

MUST_MB, AIM_MB = 120, 80
MUST_READY_S, AIM_READY_S = 20, 10
READY = "\nready after"
START_PATIENCE_S = 240.0
#: From readiness to the look: what the start has queued is done, caches are warm, and nothing is asked of anybody.
SETTLE_S = 20.0
SERVICES = ("session-svc", "oauth-svc", "expiry-watcher", "rule-pauser", "notifier", "gateway")


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Start once, stop, start again with the clock running, let it settle, and weigh each service."""
    folder = stack.folder / "p12"
    first, _ = await _up(stack, folder, "first")
    await asyncio.to_thread(first.stop, START_PATIENCE_S)
    starts: list[float] = []
    for number in range(1 if quick else 3):
        again, took_s = await _up(stack, folder, f"again-{number}")
        starts.append(took_s)
        if number == 0:
            await asyncio.sleep(SETTLE_S)
            memory = _memory_mb(folder)
        await asyncio.to_thread(again.stop, START_PATIENCE_S)
    heaviest = max(memory, key=lambda name: memory[name])
    ready_s = sorted(starts)[len(starts) // 2]
    return [
        Result(
            id="P12",
            measure=f"memory of an idle service, the heaviest ({heaviest})",
            ours=memory[heaviest],
            unit="MB",
            must=f"<= {MUST_MB} (aim {AIM_MB})",
            met=memory[heaviest] <= MUST_MB,
            details=dict(memory),
        ),
        Result(
            id="P12-start",
            measure="the whole stack, started again, to ready (median)",
            ours=ready_s,
            unit="s",
            must=f"<= {MUST_READY_S} (aim {AIM_READY_S})",
            met=ready_s <= MUST_READY_S,
            details={f"start {number}": took_s for number, took_s in enumerate(starts, 1)},
        ),
    ]


async def _up(stack: Stack, folder: Path, name: str) -> tuple[Child, float]:
    began = monotonic()
    child = stack.start(f"p12-{name}", ["devstack", "up", "--dir", str(folder)], stack.environment())
    while READY not in child.log.read_text(errors="replace"):
        child.require_running()
        if monotonic() - began > START_PATIENCE_S:
            raise RuntimeError(f"the stack was not ready in time:\n{child.log_tail()}")
        await asyncio.sleep(0.05)
    return child, monotonic() - began


def _memory_mb(folder: Path) -> dict[str, float]:
    """Resident memory of each service, in 10^6 bytes; of several processes of one, the largest."""
    demo: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return {name: max(_resident_mb(pid) for pid in demo["processes"][name]) for name in SERVICES}


def _resident_mb(pid: int) -> float:
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)  # noqa: S607
    return int(told.stdout) * 1024 / 1e6
