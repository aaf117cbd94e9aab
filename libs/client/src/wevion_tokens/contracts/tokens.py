"""The life of a token on the wire: issued, refreshed, failing, expiring, expired, revoked, and its state.

Key: `token_id`. Every body carries `token.version`, which the owner raises by one with each change, in the
transaction that writes the outbox row.
"""

from uuid import UUID

from pydantic import Field

from wevion_tokens.contracts.base import MAX_COUNT, EventBody, FactTime, Part, UtcDatetime, event
from wevion_tokens.contracts.vocabulary import (
    DetectedBy,
    IssuedHow,
    RefreshFailure,
    RevocationCause,
    TokenKind,
    TokenStatus,
)

ACCOUNTS_PER_EVENT = 500
"""An event names no more accounts than this, so that a grant with 20,000 of them stays far below Kafka's limit of one
mebibyte for a record: a name of 255 characters can take 1,530 bytes in JSON."""


class AccountRef(Part):
    """One ad account (or integration account) under a grant."""

    account_id: UUID = Field(description="Wevion's id of the account")
    external_id: str = Field(description="the provider's id of the account")
    name: str = Field(description="the account's name at the provider, for people")


class TokenRef(Part):
    """Which token an event is about, complete enough to act without asking anybody."""

    token_id: UUID = Field(description="stable across refreshes and re-authorisations (UUIDv7)")
    kind: TokenKind
    provider: str = Field(description="such as meta or google-ads; wevion for sessions, telegram for links")
    workspace_id: UUID
    owner_user_id: UUID = Field(description="the person who signed in, made the connection or asked for the link")
    version: int = Field(ge=1, le=MAX_COUNT, description="raised by one with each change of this token")
    accounts: tuple[AccountRef, ...] = Field(
        default=(), description="the accounts that the grant reaches; the first 500 of them if there are more"
    )
    accounts_total: int | None = Field(
        default=None,
        ge=0,
        description="how many accounts the grant reaches, where `accounts` holds only the first of them; the others "
        "are in token.accounts",
    )


class TokenEvent(EventBody):
    """What every token event has in common."""

    token: TokenRef

    def subject(self) -> str:
        return str(self.token.token_id)

    def aggregate_version(self) -> int:
        return self.token.version


@event("token.issued")
class TokenIssuedV1(TokenEvent):
    """A token came into being, or a person gave it a new life (`how: reauthorize`)."""

    how: IssuedHow
    expires_at: UtcDatetime | None = Field(default=None, description="full expiry; null where the provider sets none")
    access_expires_at: UtcDatetime | None = None


@event("token.refreshed")
class TokenRefreshedV1(TokenEvent):
    """A token was renewed without anyone noticing."""

    expires_at: UtcDatetime | None = None
    access_expires_at: UtcDatetime | None = None
    rotated: bool = Field(description="whether the provider replaced the refresh token")


@event("token.refresh_failed")
class TokenRefreshFailedV1(TokenEvent):
    """A refresh did not work, and the grant is still believed alive."""

    class_: RefreshFailure = Field(alias="class")
    attempt: int = Field(ge=1)
    retry_at: UtcDatetime | None = None
    incident_id: UUID | None = None


@event("token.expiring")
class TokenExpiringV1(TokenEvent):
    """Full expiry comes nearer; only a person can prevent it. Derived by expiry-watcher."""

    stage: str = Field(pattern=r"^[1-9][0-9]*[dhm]$", description="the ladder's step, such as 7d")
    expires_at: UtcDatetime
    remaining_s: int = Field(ge=0, description="seconds left when the stage was found due")


@event("token.expired")
class TokenExpiredV1(TokenEvent):
    """Full expiry was reached: only a person can bring the token back."""

    expired_at: FactTime


@event("token.revoked")
class TokenRevokedV1(TokenEvent):
    """A token ended before its time."""

    cause: RevocationCause
    cause_stated: bool = Field(
        default=True,
        description="false: nobody said why; `cause` is then `platform_enforced`, for readers without this field",
    )
    detected_by: DetectedBy
    user_epoch: int | None = Field(
        default=None, ge=0, le=MAX_COUNT, description="sessions: JWTs of the owner with a lower epoch are dead"
    )

    @property
    def known_cause(self) -> RevocationCause | None:
        """Why it ended; None where the platform did not say."""
        return self.cause if self.cause_stated else None


@event("token.state")
class TokenStateV1(TokenEvent):
    """The whole present state of one token (compacted; a tombstone when the token is purged)."""

    status: TokenStatus
    since: FactTime = Field(description="when the token entered this status")
    expires_at: UtcDatetime | None = None
    access_expires_at: UtcDatetime | None = None
    cause: RevocationCause | None = Field(default=None, description="null although revoked: nobody said why")
    detected_by: DetectedBy | None = None
    missing_scopes: tuple[str, ...] = ()
    user_epoch: int | None = Field(default=None, ge=0, le=MAX_COUNT)


@event("token.accounts")
class TokenAccountsV1(TokenEvent):
    """A part of the accounts of a grant that has too many for one event (compacted). Key: `token_id/page`.

    All pages are sent whenever the list has changed. `token.accounts` holds the accounts of this page. Smaller grants
    have no pages: their events name all accounts.
    """

    page: int = Field(ge=0, description="counted from 0")
    pages: int = Field(ge=1, description="how many pages the list has at this version")

    def subject(self) -> str:
        return f"{self.token.token_id}/{self.page}"
