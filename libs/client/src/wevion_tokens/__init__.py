"""Wevion's token services, for the services that live on them: access tokens, callers, events."""

from wevion_tokens.errors import (
    AccountAccessLostError,
    ClientNotAllowedError,
    ConnectionEndedError,
    EndedError,
    NoSuchAccountError,
    NotYetError,
    PlatformRefusedError,
    TokensError,
    UnavailableError,
)
from wevion_tokens.profile import ProfileError, TokensProfile
from wevion_tokens.tokens.cache import AccountToken
from wevion_tokens.tokens.client import TokensClient, checked

__all__ = [
    "AccountAccessLostError",
    "AccountToken",
    "ClientNotAllowedError",
    "ConnectionEndedError",
    "EndedError",
    "NoSuchAccountError",
    "NotYetError",
    "PlatformRefusedError",
    "ProfileError",
    "TokensClient",
    "TokensError",
    "TokensProfile",
    "UnavailableError",
    "checked",
]
