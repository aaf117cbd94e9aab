"""How long to wait before the next try, and the one loop that waits and tries again.

`Backoff` is pure: the same attempt of the same work always waits the same time, so replicas spread out and tests agree.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.errors import RetryableError

T = TypeVar("T")

_FULL = float(1 << 64)


def fraction(seed: str) -> float:
    """Return a number in [0, 1) that is the same for the same seed in every process, so replicas agree."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big") / _FULL


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting with a hashed jitter.

    Attributes:
        base_s: the wait after the first failure, in seconds.
        cap_s: no wait is longer, in seconds.
        factor: each wait is this many times the one before.
        jitter: the share of the wait that the hash may take away (0 to 1), so that a crowd spreads out.

    """

    base_s: float = 0.5
    cap_s: float = 60.0
    factor: float = 2.0
    jitter: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"base_s ({self.base_s}) must be above 0 and at most cap_s ({self.cap_s})")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter ({self.jitter}) must be between 0 and 1")

    def delay(self, attempt: int, seed: str = "") -> float:
        """Return seconds to wait after failure number `attempt` (1 is the first)."""
        grown = self.base_s * self.factor ** min(max(attempt, 1) - 1, 64)
        return min(grown, self.cap_s) * (1 - self.jitter * fraction(f"{seed}:{attempt}"))


async def retry_until(
    work: Callable[[], Awaitable[T]],
    backoff: Backoff,
    *,
    seed: str = "",
    on: tuple[type[Exception], ...] = (RetryableError,),
    within_s: float | None = None,
    waiting: Callable[[Exception, int], None] = lambda _error, _attempt: None,
) -> T:
    """Run `work` again and again until it succeeds, waiting longer after each failure.

    Args:
        work: makes one attempt.
        backoff: how long to wait after each failure.
        seed: names the work, so that several workers do not try in step.
        on: the errors after which another attempt makes sense; every other error reaches the caller at once.
        within_s: no attempt begins later than this many seconds after the first one; None tries without end.
        waiting: told of each failure and its number before the wait, such as to log it.

    Returns:
        What the first successful attempt returned.

    Raises:
        Exception: the last attempt's error, when the time is over.

    """
    deadline = None if within_s is None else monotonic() + within_s
    attempt = 0
    while True:
        attempt += 1
        try:
            return await work()
        except on as error:
            delay = backoff.delay(attempt, seed)
            if deadline is not None and monotonic() + delay > deadline:
                raise
            waiting(error, attempt)
        await asyncio.sleep(delay)
