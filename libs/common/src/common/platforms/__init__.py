"""What is known about each platform, in one place: names, how it is connected, what its error codes mean.

One module a platform; `errors` holds the type of a meaning, `causes` the words for why a token ended. Pure: values in,
values out.
"""

from common.contracts import TokenKind
from common.platforms.google_ads import GOOGLE_ADS
from common.platforms.google_drive import GOOGLE_DRIVE
from common.platforms.meta import META
from common.platforms.outbrain import OUTBRAIN
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.snapchat import SNAPCHAT
from common.platforms.stripe import STRIPE
from common.platforms.taboola import TABOOLA
from common.platforms.telegram import TELEGRAM
from common.platforms.tiktok import TIKTOK
from common.platforms.wevion import WEVION
from wevion_tokens.contracts.causes import clause, sentence

PLATFORMS: dict[str, Platform] = {
    platform.provider: platform
    for platform in (
        META,
        GOOGLE_ADS,
        GOOGLE_DRIVE,
        TIKTOK,
        TABOOLA,
        SNAPCHAT,
        OUTBRAIN,
        STRIPE,
        TELEGRAM,
        WEVION,
    )
}
"""Every platform that Wevion knows by itself; others are added by settings."""


def title_of(provider: str) -> str:
    """Return the name that people know a provider by; one that was added by settings is written from its id."""
    known = PLATFORMS.get(provider)
    return known.title if known else provider.replace("-", " ").replace("_", " ").title()


def kind_of(provider: str) -> TokenKind:
    """Return the kind of token that a connection to a provider is; one that was added by settings is a platform."""
    known = PLATFORMS.get(provider)
    return known.kind if known else TokenKind.PLATFORM_OAUTH


def by_credentials(provider: str | None) -> bool:
    """Return whether re-authorising means entering new credentials, because there is no consent screen."""
    known = PLATFORMS.get(provider or "")
    return known is not None and known.connected is Connected.CREDENTIALS


def reasons_of(provider: str) -> tuple[PossibleCause, ...]:
    """Why this platform may have ended an access without saying so, as its documents list it."""
    known = PLATFORMS.get(provider)
    return known.reasons if known else ()


__all__ = [
    "PLATFORMS",
    "Connected",
    "Platform",
    "PossibleCause",
    "by_credentials",
    "clause",
    "kind_of",
    "reasons_of",
    "sentence",
    "title_of",
]
