"""Rate limits as a generic cell rate algorithm (ITU-T I.371): one time per key says everything."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` at once, then one every `every`."""

    burst: int
    every: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the attempt is granted, the key's new time if so, and how long to wait if not."""

    granted: bool
    tat: datetime
    retry_after: timedelta


def spend(tat: datetime | None, now: datetime, limit: Limit) -> Decision:
    """Take one attempt from a key whose theoretical arrival time is `tat` (None: never used)."""
    start = now if tat is None or tat < now else tat
    after = start + limit.every
    wait = after - now - limit.burst * limit.every
    if wait > timedelta(0):
        return Decision(granted=False, tat=start, retry_after=wait)
    return Decision(granted=True, tat=after, retry_after=timedelta(0))
