"""How fast a channel may be used: a token bucket that says when the next message may leave."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rate` messages per second with bursts of up to `burst`.

    Attributes:
        free_at: the virtual time at which the bucket is full again (the GCRA form of a token bucket).

    """

    rate: float
    burst: int
    free_at: datetime

    def take(self, now: datetime) -> tuple["Bucket", float]:
        """Return the bucket after one more message, and the seconds that this message has to wait."""
        step = timedelta(seconds=1 / self.rate)
        start = max(self.free_at, now)
        wait = (start - now) - step * (self.burst - 1)
        return replace(self, free_at=start + step), max(wait.total_seconds(), 0.0)
