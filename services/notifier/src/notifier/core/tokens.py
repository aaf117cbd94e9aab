"""The notifier's own copy of a token, and how events change it.

The copy answers one question at the moment of each send: is what we are about to say still true?
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts import (
    AccountRef,
    DetectedBy,
    RevocationCause,
    TokenEvent,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.text import clean

OWN_WILL = frozenset(
    {
        RevocationCause.DISCONNECTED,
        RevocationCause.UNLINKED,
        RevocationCause.SIGNED_OUT,
        RevocationCause.ADMIN_FORCED,
        RevocationCause.PASSWORD_CHANGED,
        RevocationCause.IMPERSONATION_ENDED,
        RevocationCause.USED,
        RevocationCause.SUPERSEDED,
    }
)
"""Ends that a person brought about here: nobody is told what they just did themselves."""


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """One ad account under a grant."""

    account_id: UUID
    external_id: str
    name: str

    @classmethod
    def of(cls, ref: AccountRef) -> "TokenAccount":
        """Return the account as an event names it. Its name is text from outside."""
        return cls(ref.account_id, ref.external_id, clean(ref.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the notifier knows of one token.

    Attributes:
        outage: the version at which the token last left life; 0 while it never has. It numbers the episodes of
            "this grant is dead", so that the same fact told again is recognised and the next death is not.

    """

    token_id: UUID
    kind: TokenKind
    provider: str
    workspace_id: UUID
    owner_user_id: UUID
    version: int
    status: TokenStatus
    expires_at: datetime | None = None
    cause: RevocationCause | None = None
    detected_by: DetectedBy | None = None
    accounts: tuple[TokenAccount, ...] = field(default=())
    outage: int = 0

    @property
    def ended_by_own_will(self) -> bool:
        return self.status is TokenStatus.REVOKED and self.cause in OWN_WILL


class Reading(StrEnum):
    """What an event is to the copy that is held."""

    NEWS = "news"
    KNOWN = "known"
    STALE = "stale"


def fold(held: Token | None, body: TokenEvent) -> tuple[Token, Reading]:
    """Return the copy after `body`, and whether the event told anything.

    Facts that change a token count when their version is newer. `token.expiring` and `token.expired` are derived. Of a
    newer version they come before the fact that they were derived from (topics overtake each other, and after a crash
    they do), and tell it too. Of an older or the same version they count until the copy knows a later full expiry, a
    revocation, or another expiry; and an end that was announced stays passed for every version that ends by then.
    """
    match body:
        case TokenExpiringV1():
            return _fold_expiring(held, body)
        case TokenExpiredV1():
            return _fold_expired(held, body)
    if held is not None and body.token.version <= held.version:
        same = body.token.version == held.version
        return held, Reading.KNOWN if same else Reading.STALE
    base = _from_ref(held, body.token)
    match body:
        case TokenIssuedV1() | TokenRefreshedV1():
            after = replace(base, status=TokenStatus.ACTIVE, expires_at=body.expires_at, cause=None, detected_by=None)
        case TokenRevokedV1():
            after = replace(base, status=TokenStatus.REVOKED, cause=body.known_cause, detected_by=body.detected_by)
        case TokenStateV1():
            after = replace(
                base,
                status=body.status,
                expires_at=body.expires_at,
                cause=body.cause,
                detected_by=body.detected_by,
            )
        case _:
            after = base
    if held is not None and after.status.alive and _has_passed(held, after.expires_at):
        after = replace(after, status=TokenStatus.EXPIRED)
    return _count_outage(held, after), Reading.NEWS


def _has_passed(held: Token, expires_at: datetime | None) -> bool:
    """Whether this end is over: the token's end was announced, and a refresh that came before it was heard after it."""
    if held.status is not TokenStatus.EXPIRED or held.expires_at is None or expires_at is None:
        return False
    return expires_at <= held.expires_at


def _fold_expiring(held: Token | None, body: TokenExpiringV1) -> tuple[Token, Reading]:
    if held is None:
        fresh = replace(_from_ref(None, body.token), status=TokenStatus.EXPIRING, expires_at=body.expires_at)
        return fresh, Reading.NEWS
    if body.token.version > held.version:
        return _ahead(held, body.token, TokenStatus.EXPIRING, body.expires_at), Reading.NEWS
    if not held.status.alive or _derived_is_stale(held, body.token.version, body.expires_at):
        return held, Reading.STALE
    if held.expires_at is None:  # the copy was made by an event without an expiry: the watcher knows better
        return replace(held, expires_at=body.expires_at), Reading.NEWS
    return held, Reading.KNOWN


def _fold_expired(held: Token | None, body: TokenExpiredV1) -> tuple[Token, Reading]:
    if held is None:
        fresh = replace(_from_ref(None, body.token), status=TokenStatus.EXPIRED, expires_at=body.expired_at)
        return _count_outage(None, fresh), Reading.NEWS
    if body.token.version > held.version:
        return _ahead(held, body.token, TokenStatus.EXPIRED, body.expired_at), Reading.NEWS
    if _derived_is_stale(held, body.token.version, body.expired_at):
        return held, Reading.STALE
    if held.status is TokenStatus.EXPIRED:
        return held, Reading.KNOWN
    after = replace(held, status=TokenStatus.EXPIRED, expires_at=body.expired_at)
    return _count_outage(held, after), Reading.NEWS


def _ahead(held: Token, ref: TokenRef, status: TokenStatus, expires_at: datetime) -> Token:
    """Return the copy after a derived event that came before the change that it was derived from."""
    after = replace(_from_ref(held, ref), status=status, expires_at=expires_at, cause=None, detected_by=None)
    return _count_outage(held, after)


def _derived_is_stale(held: Token, version: int, expires_at: datetime) -> bool:
    if held.status is TokenStatus.REVOKED:
        return True
    if held.expires_at is not None and held.expires_at > expires_at:
        return True
    return held.version > version and held.expires_at != expires_at


def _from_ref(held: Token | None, ref: TokenRef) -> Token:
    accounts = tuple(TokenAccount.of(account) for account in ref.accounts)
    return Token(
        token_id=ref.token_id,
        kind=ref.kind,
        provider=ref.provider,
        workspace_id=ref.workspace_id,
        owner_user_id=ref.owner_user_id,
        version=ref.version,
        status=TokenStatus.ACTIVE if held is None else held.status,
        expires_at=None if held is None else held.expires_at,
        accounts=accounts,
        outage=0 if held is None else held.outage,
    )


def _count_outage(held: Token | None, after: Token) -> Token:
    was_alive = held is None or held.status.alive
    if was_alive and not after.status.alive:
        return replace(after, outage=after.version)
    return after
