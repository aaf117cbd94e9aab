"""What is known of a grant, and which event changes it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from common.contracts import (
    Event,
    EventBody,
    RevocationCause,
    TokenEvent,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)

RELEVANT_KINDS: Final = frozenset({TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION})
"""Sessions and Telegram links carry no accounts, so no rule depends on one."""


class Life(StrEnum):
    """Whether a grant can be used. `degraded` is live: it is believed alive, and nobody pauses on a belief."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant's present life."""

    version: int
    life: Life
    since: datetime
    expires_at: datetime | None = None
    cause: RevocationCause | None = None


def judge(held: Grant | None, event: Event[EventBody]) -> Grant | None:  # noqa: PLR0911  one return per fact
    """The grant after an event; None if the event changes nothing: it is old news, or about something else.

    Facts of the owner count by version. `token.expired` is derived from a version by expiry-watcher: it is stale if
    the grant was renewed meanwhile (a later date is held, or a newer version with another date) or has ended.
    """
    body = event.body
    if not isinstance(body, TokenEvent) or body.token.kind not in RELEVANT_KINDS:
        return None
    version = body.token.version
    if isinstance(body, TokenExpiredV1):
        return _expired(held, version, body.expired_at)
    if held is not None and version <= held.version:
        return None
    match body:
        case TokenIssuedV1() | TokenRefreshedV1():
            return Grant(version, Life.LIVE, event.time, body.expires_at)
        case TokenRevokedV1():
            return Grant(version, Life.REVOKED, event.time, held.expires_at if held else None, body.cause)
        case TokenStateV1():
            return _whole(body, version)
        case _:
            return None


def _expired(held: Grant | None, version: int, expired_at: datetime) -> Grant | None:
    if held is None or version > held.version:
        return Grant(version, Life.EXPIRED, expired_at, expired_at)
    if held.life is not Life.LIVE:
        return None
    if held.expires_at is not None and held.expires_at > expired_at:
        return None
    if held.version > version and held.expires_at != expired_at:
        return None
    return Grant(held.version, Life.EXPIRED, expired_at, held.expires_at or expired_at)


def _whole(body: TokenStateV1, version: int) -> Grant:
    match body.status:
        case TokenStatus.REVOKED:
            return Grant(version, Life.REVOKED, body.since, body.expires_at, body.cause)
        case TokenStatus.EXPIRED:
            return Grant(version, Life.EXPIRED, body.since, body.expires_at)
        case _:
            return Grant(version, Life.LIVE, body.since, body.expires_at)
