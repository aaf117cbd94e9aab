"""What people want to be told, where, and when not to be disturbed.

Three layers: our defaults, the workspace's wishes (set by its admins), the person's own. The nearer one wins, word by
word. In the app every notice is shown: it is the record, and it disturbs nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.contracts import NoticeChannel, NoticeCode

PUSH_CHANNELS: tuple[NoticeChannel, ...] = tuple(
    channel for channel in NoticeChannel if channel is not NoticeChannel.IN_APP
)
OFF_BY_DEFAULT = frozenset({NoticeCode.DATA_GAP})
"""A gap closes when everything works again: the app shows it, and the recovery message mentions it."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` on the reader's clock; over midnight when `end` is not after `start`."""

    start: time
    end: time

    def over_at(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the quiet that `now` falls into is over; None when it is not quiet."""
        local = now.astimezone(zone)
        clock = local.time().replace(tzinfo=None)
        if self.start == self.end:
            return None
        overnight = self.end <= self.start
        if overnight:
            quiet = clock >= self.start or clock < self.end
            tomorrow = clock >= self.start
        else:
            quiet, tomorrow = self.start <= clock < self.end, False
        if not quiet:
            return None
        day = local.date() + timedelta(days=1 if tomorrow else 0)
        end = datetime.combine(day, self.end, tzinfo=zone)
        # In autumn's repeated hour a clock shows the end twice, and the first one may be over.
        both = (end.replace(fold=fold).astimezone(now.tzinfo) for fold in (0, 1))
        return next((moment for moment in both if moment > now), None)


@dataclass(frozen=True, slots=True)
class Preferences:
    """One layer. What is missing is left to the layer below."""

    channels: Mapping[tuple[NoticeChannel, NoticeCode], bool] = field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    time_zone: str | None = None

    def over(self, below: "Preferences") -> "Preferences":
        """Return these wishes on top of `below`."""
        return Preferences(
            channels={**below.channels, **self.channels},
            quiet_hours=self.quiet_hours or below.quiet_hours,
            time_zone=self.time_zone or below.time_zone,
        )

    def wants(self, channel: NoticeChannel, code: NoticeCode) -> bool:
        if channel is NoticeChannel.IN_APP:
            return True
        return self.channels.get((channel, code), code not in OFF_BY_DEFAULT)


def zone_of(name: str | None) -> ZoneInfo:
    """Return the zone of that IANA name; UTC for none or an unknown one, because a notice must not fail on it."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
