"""Work that is done again and again: on a timer and on a poke.

An activation takes no input, is idempotent and returns a status (after omicron's background tasks). It does not
retry: the next activation does. Events are for latency, full scans for truth.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from common.runtime.clock import monotonic
from common.runtime.retry import fraction
from common.runtime.tasks import describe
from wevion_tokens.telemetry.tracing import span

_log = structlog.get_logger(__name__)


class Status(Protocol):
    """What an activation reports."""

    @property
    def more(self) -> bool:
        """Return whether the activation left due work behind, so that the next one should follow at once."""
        ...


class Periodic:
    """Run one activation on a timer, and at once when poked or when the last one left work behind.

    Args:
        name: for logs and readiness.
        activation: the work; returns a status or None.
        interval_s: seconds from the end of one activation to the next.
        timeout_s: an activation that takes longer is cancelled and counted as failed.
        next_delay: instead of `interval_s`, asked after each activation: seconds until the next, such as the time to
            the next deadline. `interval_s` stays the cap.

    """

    def __init__(
        self,
        name: str,
        activation: Callable[[], Awaitable[Status | None]],
        *,
        interval_s: float,
        timeout_s: float = 60.0,
        next_delay: Callable[[], Awaitable[float | None]] | None = None,
    ) -> None:
        if interval_s <= 0:
            raise ValueError(f"{name}: interval_s must be above 0, not {interval_s}")
        self.name = name
        self.last_status: Status | None = None
        self.last_success = monotonic()
        """When an activation last succeeded, on the monotonic clock; before the first one, when the work was made."""
        self.failures = 0
        """Activations that have failed since the last one that succeeded."""
        self._activation = activation
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._next_delay = next_delay
        self._poked = asyncio.Event()

    @property
    def longest_gap_s(self) -> float:
        """Return the most that lies between the ends of two activations that are well."""
        return self._interval_s + self._timeout_s

    def poke(self) -> None:
        """Ask for an activation now (a hint: the timer stays the truth)."""
        self._poked.set()

    async def run_once(self) -> Status | None:
        """Return one activation, bounded in time. Errors reach the caller."""
        with span():  # so that what it logs and the events that it writes belong together
            async with asyncio.timeout(self._timeout_s):
                self.last_status = await self._activation()
        self.last_success = monotonic()
        self.failures = 0
        return self.last_status

    async def run(self) -> None:
        """Activate for ever. An activation that fails is logged, and the next one tries again."""
        # The first tick is spread, because replicas that start together should not work in step.
        await self._wait(min(self._interval_s, 1.0) * fraction(f"{self.name}:{id(self)}"))
        while True:
            self._poked.clear()
            delay = self._interval_s
            try:
                status = await self.run_once()
                if status is not None and status.more:
                    delay = 0
                elif self._next_delay is not None:
                    wanted = await self._next_delay()
                    delay = self._interval_s if wanted is None else min(max(wanted, 0), self._interval_s)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  the next activation tries again
                self.failures += 1
                _log.warning("activation_failed", work=self.name, error=describe(error), failures=self.failures)
            await self._wait(delay)

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._poked.wait()
        except TimeoutError:
            return
