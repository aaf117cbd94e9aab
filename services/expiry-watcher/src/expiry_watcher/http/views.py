"""The shapes of answers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import DetectedBy, RevocationCause, TokenKind, TokenStatus
from common.platforms import title_of
from expiry_watcher.core.fixes import fix_for
from expiry_watcher.core.history import HistoryEvent, told_apart, words
from expiry_watcher.core.tracked import TrackedToken
from expiry_watcher.core.words import span


class AccountView(BaseModel):
    """One account under a token."""

    account_id: UUID
    external_id: str
    name: str


class TokenView(BaseModel):
    """One token as it is now."""

    token_id: UUID
    kind: TokenKind
    provider: str
    title: str = Field(description="the provider's name for people")
    workspace_id: UUID
    owner_user_id: UUID
    status: TokenStatus
    since: datetime = Field(description="when it entered this status")
    expires_at: datetime | None = Field(description="full expiry; null where the provider sets none")
    access_expires_at: datetime | None
    remaining_s: int | None = Field(description="seconds until full expiry; null when there is none, or it is over")
    cause: RevocationCause | None
    detected_by: DetectedBy | None
    missing_scopes: tuple[str, ...]
    accounts: tuple[AccountView, ...] = Field(description="the accounts that it reaches; of large grants the first 500")
    accounts_total: int = Field(description="how many accounts it reaches")
    version: int
    summary: str = Field(description="its state in words")
    fix: str | None = Field(description="what a person has to do, if anything")
    fix_url: str | None


class HistoryView(BaseModel):
    """One line of a token's history, in words."""

    at: datetime = Field(description="when it happened last")
    first_at: datetime
    what: str
    words: str
    version: int


class TokenDetail(TokenView):
    """One token with its history, newest first."""

    history: list[HistoryView]


class CountView(BaseModel):
    """How many tokens there are of one kind in one status."""

    kind: TokenKind
    status: TokenStatus
    count: int


def token_view(token: TrackedToken, now: datetime, public_url: str) -> TokenView:
    """Return a token for people and programs."""
    return TokenView(**_members(token, now, public_url))


def token_detail(token: TrackedToken, told: list[HistoryEvent], now: datetime, public_url: str) -> TokenDetail:
    """Return a token with its history.

    Args:
        token: the token.
        told: its history.
        now: the present time, in UTC.
        public_url: the origin that people's browsers use.

    """
    lines = [
        HistoryView(
            at=line.last_at,
            first_at=line.first_at,
            what=line.what,
            words=words(line, token.provider),
            version=line.version,
        )
        for line in told_apart(told)
    ]
    return TokenDetail(**_members(token, now, public_url), history=lines)


def summary(token: TrackedToken, now: datetime) -> str:
    """Return the state of a token in one sentence."""
    name = title_of(token.provider)
    match token.status:
        case TokenStatus.REVOKED:
            return f"{name}: ended before its time."
        case TokenStatus.EXPIRED:
            return f"{name}: reached full expiry."
        case TokenStatus.DEGRADED:
            return f"{name}: refreshes fail for now; believed alive."
    if token.missing_scopes:
        return f"{name}: works, but permissions are missing: {', '.join(token.missing_scopes)}."
    if token.expires_at is None:
        return f"{name}: works; the provider sets no end."
    return f"{name}: works; {span(token.expires_at - now)} until full expiry."


def _members(token: TrackedToken, now: datetime, public_url: str) -> dict[str, object]:
    fix = None
    if token.status is not TokenStatus.ACTIVE or token.missing_scopes:
        fix = fix_for(
            token.kind,
            token.provider,
            public_url,
            status=token.status,
            cause=token.cause,
            token_id=token.token_id,
        )
    alive = token.status.alive and token.expires_at is not None
    return {
        "token_id": token.token_id,
        "kind": token.kind,
        "provider": token.provider,
        "title": title_of(token.provider),
        "workspace_id": token.workspace_id,
        "owner_user_id": token.owner_user_id,
        "status": token.status,
        "since": token.since,
        "expires_at": token.expires_at,
        "access_expires_at": token.access_expires_at,
        "remaining_s": int((token.expires_at - now).total_seconds()) if alive and token.expires_at else None,
        "cause": token.cause,
        "detected_by": token.detected_by,
        "missing_scopes": token.missing_scopes,
        "accounts": tuple(AccountView(**account.model_dump()) for account in token.accounts),
        "accounts_total": token.accounts_total,
        "version": token.version,
        "summary": summary(token, now),
        "fix": fix.words if fix else None,
        "fix_url": fix.url if fix else None,
    }
