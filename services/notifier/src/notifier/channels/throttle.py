"""Waits so that a channel is used no faster than agreed."""

import asyncio

from common.runtime.clock import Clock
from notifier.core.limits import Bucket


class Throttle:
    """A token bucket of this process. Replicas each have their own: set the rate to the share of one."""

    def __init__(self, *, rate: float, burst: int, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket(rate, burst, clock.now())

    async def wait(self) -> None:
        """Wait for the turn of one message."""
        self._bucket, wait_s = self._bucket.take(self._clock.now())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
