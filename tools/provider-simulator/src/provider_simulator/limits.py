"""Rate limits of the platforms' own, as token buckets; a test may set one for any provider's endpoint."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """`per_second` on average, `burst` at once."""

    per_second: float
    burst: float
    level: float
    at: float

    def take(self, now: float) -> float:
        """0 when there is room (and it is taken), else the seconds until there is."""
        self.level = min(self.burst, self.level + (now - self.at) * self.per_second)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.per_second


class Limits:
    def __init__(self) -> None:
        self._orders: dict[tuple[str, str], tuple[float, float]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._windows: dict[str, deque[float]] = {}
        self.refused: dict[str, int] = {}

    @property
    def any(self) -> bool:
        return bool(self._orders)

    def order(self, provider: str, endpoint: str, per_second: float, burst: float) -> None:
        self._orders[provider, endpoint] = (per_second, burst)
        self._buckets.pop(f"order {provider} {endpoint}", None)

    def ordered(self) -> list[dict[str, object]]:
        return [
            {"provider": p, "endpoint": e, "per_second": rate, "burst": burst}
            for (p, e), (rate, burst) in self._orders.items()
        ]

    def check_order(self, provider: str, endpoint: str, now: float) -> float:
        """Seconds to wait under a limit that a test has set; 0: go on."""
        order = self._orders.get((provider, endpoint))
        if order is None:
            return 0.0
        wait = self.average(f"order {provider} {endpoint}", *order, now)
        if wait:
            self.refused[provider] = self.refused.get(provider, 0) + 1
        return wait

    def average(self, name: str, per_second: float, burst: float, now: float) -> float:
        """One bucket by name, made when first used; seconds to wait, 0: taken."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(per_second, burst, burst, now)
        return bucket.take(now)

    def window(self, name: str, most: int, window_s: float, now: float) -> float:
        """At most `most` within any `window_s` seconds; a refused try is not counted. Seconds to wait, 0: taken."""
        times = self._windows.setdefault(name, deque())
        while times and times[0] <= now - window_s:
            times.popleft()
        if len(times) >= most:
            return times[0] + window_s - now
        times.append(now)
        return 0.0

    def clear(self) -> None:
        self._orders.clear()
        self._buckets.clear()
        self._windows.clear()
        self.refused.clear()
