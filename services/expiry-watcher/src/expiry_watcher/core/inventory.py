"""What is known of a token, and how each event changes it.

One row per token, of all four kinds. A fact counts only if its version is newer than the one held; `token.state`
is the whole truth of a version, so it may also complete what a lesser fact of the same version said first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    RevocationCause,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)

WATCHED_KINDS = frozenset({TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION})
"""The kinds whose ladder is ours. Sessions and Telegram links are ended by their owners, who say so themselves."""


@dataclass(frozen=True, slots=True)
class TokenFact:
    """What one event says about one token."""

    token: TokenRef
    status: TokenStatus
    since: datetime
    expires_at: datetime | None
    access_expires_at: datetime | None
    cause: RevocationCause | None = None
    detected_by: DetectedBy | None = None
    missing_scopes: tuple[str, ...] = ()
    whole: bool = False

    @property
    def rank(self) -> tuple[int, bool]:
        """Newer facts have a higher rank; of one version the whole state ranks above its parts."""
        return (self.token.version, self.whole)


def fact_of(event: Event[EventBody]) -> TokenFact | None:
    """Return what an event says about its token; None for an event that says nothing about a token's state."""
    match event.body:
        case TokenIssuedV1() as body:
            return TokenFact(body.token, TokenStatus.ACTIVE, event.time, body.expires_at, body.access_expires_at)
        case TokenRefreshedV1() as body:
            return TokenFact(body.token, TokenStatus.ACTIVE, event.time, body.expires_at, body.access_expires_at)
        case TokenRevokedV1() as body:
            # A revocation does not repeat the dates; the store keeps the ones held, for people who ask later.
            return TokenFact(
                body.token, TokenStatus.REVOKED, event.time, None, None, body.known_cause, body.detected_by
            )
        case TokenStateV1() as body:
            return TokenFact(
                body.token,
                body.status,
                body.since,
                body.expires_at,
                body.access_expires_at,
                body.cause,
                body.detected_by,
                body.missing_scopes,
                whole=True,
            )
        case _:
            return None


def waves(facts: Iterable[TokenFact]) -> list[tuple[TokenFact, ...]]:
    """Return a batch as rounds to be applied one after the other: in each, a token occurs once, its lower ranks first.

    Every fact is applied on top of the one before it, because a lesser fact (a revocation, say) builds on what was
    held. Within a round facts are ordered by token id, so that two writers lock rows in one order.
    """
    by_token: dict[UUID, list[TokenFact]] = {}
    for fact in facts:
        by_token.setdefault(fact.token.token_id, []).append(fact)
    rounds: list[list[TokenFact]] = []
    for token_id in sorted(by_token):
        for number, fact in enumerate(sorted(by_token[token_id], key=lambda fact: fact.rank)):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(fact)
    return [tuple(members) for members in rounds]


def full_expiry(kind: TokenKind, status: TokenStatus, since: datetime, expires_at: datetime | None) -> datetime | None:
    """Return the moment that the ladder leads to, or None if there is nothing to lead to.

    A token that its owner already calls expired has reached its full expiry at the latest when it was called so,
    whatever date it carries: the owner's clock may be a little ahead of ours, or the provider set no date.

    Args:
        kind: the token's kind.
        status: the token's state.
        since: since when it is in that state, in UTC.
        expires_at: when it ends, in UTC; None for none.

    """
    if kind not in WATCHED_KINDS or status is TokenStatus.REVOKED:
        return None
    if status is TokenStatus.EXPIRED:
        return since if expires_at is None else min(expires_at, since)
    return expires_at
