"""A token as the inventory tracks it, and what a caller may see and ask for of the inventory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import AccountRef, DetectedBy, RevocationCause, TokenKind, TokenStatus


@dataclass(frozen=True, slots=True)
class TokenScope:
    """What a caller may see: one workspace (None: any) and, of personal tokens, one person's (None: everybody's)."""

    workspace_id: UUID | None
    person: UUID | None


@dataclass(frozen=True, slots=True)
class TrackedToken:
    """One row of the inventory. `status` is as of the moment that the query was given."""

    token_id: UUID
    kind: TokenKind
    provider: str
    workspace_id: UUID
    owner_user_id: UUID
    version: int
    status: TokenStatus
    since: datetime
    expires_at: datetime | None
    access_expires_at: datetime | None
    cause: RevocationCause | None
    detected_by: DetectedBy | None
    missing_scopes: tuple[str, ...]
    accounts: tuple[AccountRef, ...]
    accounts_total: int


@dataclass(frozen=True, slots=True)
class TokenFilters:
    """Which tokens to list; None does not filter."""

    kind: TokenKind | None = None
    provider: str | None = None
    status: TokenStatus | None = None
    account_id: UUID | None = None
    expires_before: datetime | None = None
    token_ids: Sequence[UUID] | None = None
