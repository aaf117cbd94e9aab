"""R7: both levels of keys rotate while P3 runs: no token becomes unreadable, and none is presented twice.

A second drain with the new key alone, by a process that has opened nothing before, is the proof: what is refreshed
again was read.
"""

from bench.drain import DELAY_MS, Drain
from bench.results import Result
from bench.stack import Stack
from common.crypto import Keyring
from common.runtime.clock import monotonic

#: Of the grants, before the rotation begins.
UNDER_WAY = 0.05


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Rotate in the middle of a drain; then drain again without the old key."""
    grants = 10_000 if quick else 100_000
    old = Keyring.generate("old")
    drain = await Drain.prepared(stack, "r7", grants, old)
    await drain.let_go()
    await drain.requests(int(grants * UNDER_WAY))
    began_at, began = drain.provider.seen(), monotonic()
    new = await _rotate(drain, old)
    rotated_at, took_s = drain.provider.seen(), monotonic() - began
    await drain.requests(grants)
    await drain.told(grants)
    first = drain.provider.seen()
    await drain.verb("keys", "reencrypt")  # what the service sealed meanwhile with a key that it still had at hand
    status = await drain.verb("keys", "status")
    under_old = sum(line.startswith("old ") for line in status.splitlines())
    new.without("old").write(drain.keyring)
    await drain.start()
    await drain.all_due()
    await drain.requests(2 * grants)
    await drain.told(2 * grants)
    failed = await drain.fetchval(
        "SELECT count(*) FROM connection WHERE last_failure IS NOT NULL OR status <> 'active'"
    )
    seen = drain.provider.seen()
    met = (seen.requests, seen.presented_twice, failed, under_old) == (2 * grants, 0, 0, 0)
    return [
        Result(
            id="R7",
            measure=f"refreshes while both key levels rotate, {grants:,} due, {DELAY_MS} ms provider",
            ours=first.rate,
            unit="refreshes/s",
            must="every token read again with the new key alone, none presented twice",
            met=met and rotated_at.requests > began_at.requests,
            details={
                "refreshed during the rotation": float(rotated_at.requests - began_at.requests),
                "rotation s": took_s,
                "requests": float(seen.requests),
                "presented twice": float(seen.presented_twice),
                "not active": float(failed),
                "data keys under the old key": float(under_old),
            },
        )
    ]


async def _rotate(drain: Drain, old: Keyring) -> Keyring:
    """Added and made active in one step, which is the harder case; the service is not restarted."""
    new = old.rotated("new")
    new.write(drain.keyring)
    await drain.verb("keys", "rotate")
    await drain.verb("keys", "reencrypt")
    return new
