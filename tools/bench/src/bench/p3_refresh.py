"""P3: refreshes per second of one oauth-svc against the bare pipeline, at a provider that takes 50 ms and rotates.

Every grant is due at once. The provider's own ledger says whether a refresh token was ever presented twice.
"""

import asyncio
from pathlib import Path

from bench.ceilings import refresh as bare
from bench.drain import DELAY_MS, IN_FLIGHT, CountingProvider, Drain, Seen
from bench.results import Result
from bench.stack import Stack
from common.crypto import Keyring

MUST = 0.6


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """The bare pipeline before and after ours, so that a drift of the machine shows."""
    grants = 5_000 if quick else 100_000
    bare_grants = 3_000 if quick else 15_000
    before = await _bare(stack, bare_grants, "before")
    ours = await _ours(stack, grants)
    after = await _bare(stack, bare_grants, "after")
    ceiling = (before.rate + after.rate) / 2
    ratio = ours.rate / ceiling
    return [
        Result(
            id="P3",
            measure=f"refreshes, {grants:,} due at once, {DELAY_MS} ms provider",
            ours=ours.rate,
            ceiling=ceiling,
            ratio=ratio,
            unit="refreshes/s",
            must=f">= {MUST} (aim 0.8), no token presented twice",
            met=ratio >= MUST and ours.presented_twice == 0 and ours.requests == grants,
            details={
                "requests": float(ours.requests),
                "presented twice": float(ours.presented_twice),
                "bare before": before.rate,
                "bare after": after.rate,
            },
        )
    ]


async def _bare(stack: Stack, grants: int, name: str) -> Seen:
    provider = await CountingProvider.started(stack, f"p3-bare-{name}")
    arguments = {
        "--dsn": await stack.database(),
        "--endpoint": f"http://127.0.0.1:{provider.port}/token",
        "--grants": str(grants),
        "--in-flight": str(IN_FLIGHT),
    }
    program = [str(Path(bare.__file__)), *(part for pair in arguments.items() for part in pair)]
    await asyncio.to_thread(stack.command, ["python", *program], stack.environment())
    return provider.seen()


async def _ours(stack: Stack, grants: int) -> Seen:
    drain = await Drain.prepared(stack, "p3", grants, Keyring.generate())
    await drain.let_go()
    await drain.requests(grants)
    await drain.told(grants)
    drain.stop()
    return drain.provider.seen()
