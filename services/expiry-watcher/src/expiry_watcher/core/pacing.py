"""The pace of announcements: a token bucket, so that a burst of equal deadlines leaves in order and not at once."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class BurstPace:
    """How many announcements may leave now.

    The bucket holds at most one second's worth. A stage is hours long and the nearest expiry goes first, so
    pacing delays a burst without costing any token its stage.
    """

    rate_per_s: int
    level: float
    at: datetime

    @classmethod
    def full(cls, rate_per_s: int, now: datetime) -> "BurstPace":
        return cls(rate_per_s, float(rate_per_s), now)

    def refill(self, now: datetime) -> "BurstPace":
        """Return the bucket at `now`. A clock that went back adds nothing and takes nothing."""
        elapsed = max(0.0, (now - self.at).total_seconds())
        level = min(float(self.rate_per_s), self.level + elapsed * self.rate_per_s)
        return BurstPace(self.rate_per_s, level, max(now, self.at))

    @property
    def available(self) -> int:
        return int(self.level)

    def take(self, count: int) -> "BurstPace":
        """Return the bucket after `count` announcements; it may go below zero and is then repaid by waiting."""
        return BurstPace(self.rate_per_s, self.level - count, self.at)

    def wait_s(self, wanted: int) -> float:
        """Return seconds until `wanted` (at most a bucket full) may leave."""
        return max(0.0, (min(wanted, self.rate_per_s) - self.level) / self.rate_per_s)
