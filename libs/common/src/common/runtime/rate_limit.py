"""One rate limit for everything that has one: the generic cell rate algorithm (ITU-T I.371), a token bucket.

A bucket is its theoretical arrival time (TAT): the moment at which it is full again. In a process, `Bucket` holds it;
where replicas share a limit, the time stands in the database, and the clock is the database's.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_DIGITS = 6
"""Times have microseconds: what is less comes from the arithmetic of floats."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`burst` at once, then one every `every_s` seconds."""

    burst: int
    every_s: float

    @classmethod
    def per_second(cls, rate: float, burst: int) -> "RateLimit":
        """Return the limit of `rate` a second, in whole microseconds, which is what times have."""
        return cls(burst, max(round(1 / rate, _DIGITS), 10.0**-_DIGITS))

    def wait_s(self, tat: datetime | None, now: datetime, count: int = 1) -> float:
        """Return the seconds until `count` (at most a bucket full) may go; 0 when they may. None: never used."""
        return max(round(_ahead_s(tat, now) + (min(count, self.burst) - self.burst) * self.every_s, _DIGITS), 0.0)

    def room(self, tat: datetime | None, now: datetime) -> int:
        """Return how many may go now; below zero while more have gone than the limit allows."""
        return self.burst - math.ceil(round(_ahead_s(tat, now) / self.every_s, _DIGITS))

    def taken(self, tat: datetime | None, now: datetime, count: int = 1) -> datetime:
        """Return the TAT after `count` more, whether they had to wait or not."""
        return now + timedelta(seconds=_ahead_s(tat, now) + count * self.every_s)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate limit of this process, and how far it is used up. A clock that goes back gives nothing and takes nothing.

    Attributes:
        limit: the limit.
        tat: when the bucket is full again.
        at: the latest moment that it was used at.

    """

    limit: RateLimit
    tat: datetime
    at: datetime

    @classmethod
    def full(cls, limit: RateLimit, now: datetime) -> "Bucket":
        return cls(limit, now, now)

    def take(self, now: datetime, count: int = 1) -> tuple["Bucket", float]:
        """Return the bucket after `count` more, and the seconds that they have to wait."""
        at = max(now, self.at)
        wait_s = self.limit.wait_s(self.tat, at, count)
        return replace(self, tat=self.limit.taken(self.tat, at, count), at=at), wait_s

    def room(self, now: datetime) -> int:
        return self.limit.room(self.tat, max(now, self.at))

    def wait_s(self, now: datetime, count: int = 1) -> float:
        return self.limit.wait_s(self.tat, max(now, self.at), count)


def _ahead_s(tat: datetime | None, now: datetime) -> float:
    return max((tat - now).total_seconds(), 0.0) if tat is not None else 0.0
