"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

#: An ordinary Monday noon: no month end, no leap day, no daylight-saving change within a week of it.
DEFAULT_START = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


class ManualClock:
    """Satisfies `wevion_tokens.runtime.clock.Clock`; time passes only by `advance` and `set`."""

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        self._now = _aware(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> datetime:
        """Moves forward and returns the new time. A step backwards is refused: use `set` to mean it."""
        if step < timedelta(0):
            raise ValueError(f"advance() goes forward only, got {step}")
        self._now += step
        return self._now

    def set(self, now: datetime) -> None:
        """Jumps anywhere, backwards too, as a corrected system clock does."""
        self._now = _aware(now)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}: times are UTC-aware everywhere")
    return value.astimezone(UTC)
