"""Names and spans of time as people say them."""

from datetime import timedelta


def span(length: timedelta) -> str:
    """Return a span of time in its largest whole unit: "6 days", "1 hour", "less than a minute"."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "less than a minute"
