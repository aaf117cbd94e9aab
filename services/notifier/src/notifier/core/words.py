"""Times and names as people read them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
NAMED_ACCOUNTS = 8


def time_left(left: timedelta) -> str:
    """Return the two largest units, rounded down: "6 days and 23 hours" never promises more than there is."""
    seconds = int(left.total_seconds())
    if seconds < _MINUTE:
        return "less than a minute"
    days, rest = divmod(seconds, _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes = rest // _MINUTE
    if days >= 7:  # noqa: PLR2004  hours say nothing more at that distance
        return _count(days, "day")
    if days:
        return _join(_count(days, "day"), _count(hours, "hour") if hours else "")
    if hours:
        return _join(_count(hours, "hour"), _count(minutes, "minute") if minutes else "")
    return _count(minutes, "minute")


def moment(when: datetime, zone: ZoneInfo) -> str:
    """Such as `Mon 30 Nov 2026, 14:05 (Europe/Berlin)`; in autumn's repeated hour with the offset that tells which."""
    local = when.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    offset = f", UTC{local.isoformat()[-6:]}" if twice else ""
    return f"{local:%a %-d %b %Y, %H:%M} ({zone.key}{offset})"


def listed(names: Sequence[str], limit: int = NAMED_ACCOUNTS) -> str:
    """Such as `A, B and C`, or `A, B, C and 17 more`."""
    if not names:
        return ""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def masked(address: str) -> str:
    """Enough of an address to recognise one's own: `m***@agency.example`."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***{at}{domain}" if at else "***"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _join(first: str, second: str) -> str:
    return f"{first} and {second}" if second else first
