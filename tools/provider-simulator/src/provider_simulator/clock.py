"""The simulator's own time: the machine's clock plus an offset that a story moves forward.

Seconds since 1970, as the platforms themselves count. Only the platforms move: the services keep the real time, so a
story that must not last 60 days shortens lifetimes (`/_sim/lifetimes`), and one about the platform's own memory (unused
for six months, two logins an hour) advances this clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class SimClock:
    def __init__(self, read: Callable[[], float] = time.time) -> None:  # noqa: TID251  the simulator's one clock
        self._read = read
        self.offset_s = 0.0

    def now(self) -> float:
        return self._read() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Move forward; a platform's clock never runs back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset_s += seconds
