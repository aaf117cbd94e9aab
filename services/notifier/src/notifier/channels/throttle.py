"""Waits so that a channel is used no faster than agreed."""

import asyncio

from common.runtime.clock import Clock
from common.runtime.rate_limit import Bucket, RateLimit


class Throttle:
    """A token bucket of this process. Replicas each have their own: set the rate to the share of one."""

    def __init__(self, *, rate: float, burst: int, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket.full(RateLimit.per_second(rate, burst), clock.now())

    async def wait(self) -> None:
        """Wait for the turn of one message."""
        self._bucket, wait_s = self._bucket.take(self._clock.now())
        if wait_s > 0:
            await asyncio.sleep(wait_s)


class Turns:
    """A token bucket for each key, such as each Slack channel: says how long to wait, and does not wait itself."""

    MOST = 10_000

    def __init__(self, *, rate: float, burst: int, clock: Clock) -> None:
        self._limit = RateLimit.per_second(rate, burst)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def wait_s(self, key: str) -> float:
        """Take one turn and return 0; or the seconds until there is one, and take none."""
        now = self._clock.now()
        bucket, wait_s = self._buckets.get(key, Bucket.full(self._limit, now)).take(now)
        if wait_s <= 0:
            if len(self._buckets) >= self.MOST:  # a full bucket is as good as none
                self._buckets = {key: held for key, held in self._buckets.items() if held.tat > now}
            self._buckets[key] = bucket
        return wait_s
