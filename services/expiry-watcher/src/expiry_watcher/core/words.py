"""Names and spans of time as people say them."""

from datetime import timedelta
from typing import Final

PROVIDER_TITLES: Final = {
    "meta": "Meta",
    "google-ads": "Google Ads",
    "tiktok": "TikTok",
    "taboola": "Taboola",
    "snapchat": "Snapchat",
    "outbrain": "Outbrain",
    "stripe": "Stripe",
    "google-drive": "Google Drive",
    "telegram": "Telegram",
    "wevion": "Wevion",
}


def title(provider: str) -> str:
    """The name that people know a provider by."""
    return PROVIDER_TITLES.get(provider, provider.replace("-", " ").title())


def span(length: timedelta) -> str:
    """A span of time in its largest whole unit: "6 days", "1 hour", "less than a minute"."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "less than a minute"
