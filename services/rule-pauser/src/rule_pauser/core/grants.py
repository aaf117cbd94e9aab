"""What is known of a grant, and which event changes it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

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

RELEVANT_KINDS = frozenset({TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION})
"""Sessions and Telegram links carry no accounts, so no rule depends on one."""


class Life(StrEnum):
    """Whether a grant can be used. `degraded` is live: it is believed alive, and nobody pauses on a belief."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KnownGrant:
    """A grant's present life.

    `passed_at` is the latest full expiry that expiry-watcher announced, whichever life of the grant it was for: that
    moment is over, and so is every life that ends by then.
    """

    version: int
    life: Life
    since: datetime
    expires_at: datetime | None = None
    cause: RevocationCause | None = None
    passed_at: datetime | None = None


def next_grant(known: KnownGrant | None, event: Event[EventBody]) -> KnownGrant | None:
    """Return the grant after an event; None if the event changes nothing: it is old news, or about something else.

    Facts of the owner count by version. `token.expired` is derived from a version, and topics overtake each other: it
    can come before the fact that it was derived from, and before a newer one that did not move the end. So what is
    kept of it is the moment, and in whatever order events come, the same grant is stored in the end.
    """
    body = event.body
    if not isinstance(body, TokenEvent) or body.token.kind not in RELEVANT_KINDS:
        return None
    if isinstance(body, TokenExpiredV1):
        return _expired(known, body.token.version, body.expired_at)
    if known is not None and body.token.version <= known.version:
        return None
    fresh = _changed(known, body, event.time)
    return None if fresh is None else _aged(replace(fresh, passed_at=known.passed_at if known else None))


def _changed(known: KnownGrant | None, body: TokenEvent, at: datetime) -> KnownGrant | None:
    version = body.token.version
    match body:
        case TokenIssuedV1() | TokenRefreshedV1():
            return KnownGrant(version, Life.LIVE, at, body.expires_at)
        case TokenRevokedV1():
            return KnownGrant(version, Life.REVOKED, at, known.expires_at if known else None, body.known_cause)
        case TokenStateV1():
            return _whole(body, version)
        case _:
            return None


def _expired(known: KnownGrant | None, version: int, expired_at: datetime) -> KnownGrant | None:
    passed_at = expired_at if known is None or known.passed_at is None else max(known.passed_at, expired_at)
    if known is None or version > known.version:
        return KnownGrant(version, Life.EXPIRED, expired_at, expired_at, passed_at=passed_at)
    if known.life is Life.LIVE and known.expires_at is None and version == known.version:
        return replace(known, life=Life.EXPIRED, since=expired_at, expires_at=expired_at, passed_at=passed_at)
    after = _aged(replace(known, passed_at=passed_at))
    return None if after == known else after


def _aged(grant: KnownGrant) -> KnownGrant:
    """Return the grant, expired if its end has passed."""
    if grant.life is not Life.LIVE or grant.expires_at is None or grant.passed_at is None:
        return grant
    return replace(grant, life=Life.EXPIRED, since=grant.expires_at) if grant.expires_at <= grant.passed_at else grant


def _whole(body: TokenStateV1, version: int) -> KnownGrant:
    match body.status:
        case TokenStatus.REVOKED:
            return KnownGrant(version, Life.REVOKED, body.since, body.expires_at, body.cause)
        case TokenStatus.EXPIRED:
            return KnownGrant(version, Life.EXPIRED, body.since, body.expires_at)
        case _:
            return KnownGrant(version, Life.LIVE, body.since, body.expires_at)
