"""Service clients: what a backend service may be allowed (OAuth 2.0 client credentials)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

SCOPES = {
    "tokens:read": "working access tokens, reports of their failure, and the inventory",
    "users:read": "people of a workspace: name, address, role, time zone",
    "rules:write": "automation rules",
    "messages:send": "service messages through the notifier",
    "tokens:introspect": "whether any JWT is still good (RFC 7662)",
    "sessions:revoke": "end a session by its JWT (RFC 7009)",
}

MIN_SECRET_LENGTH = 32
MAX_LIVE_SECRETS = 2


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """A backend service that may ask for JWTs."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    disabled_at: datetime | None


def granted(client: ServiceClient, asked: str | None) -> tuple[str, ...] | None:
    """Return the scopes of a JWT: those asked for, or all of the client's; None if one of them is not its own."""
    if asked is None or not asked.strip():
        return client.scopes
    wanted = tuple(dict.fromkeys(asked.split()))
    return wanted if set(wanted) <= set(client.scopes) else None


def unknown_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return those that do not exist."""
    return tuple(scope for scope in scopes if scope not in SCOPES)
