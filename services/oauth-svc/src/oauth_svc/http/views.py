"""What the API shows. No view holds a secret; the words are for people, the codes for programs."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import (
    ACCOUNTS_PER_EVENT,
    AccountAccess,
    DetectedBy,
    RevocationCause,
    TokenKind,
    TokenStatus,
    Verdict,
)
from common.platforms import sentence, title_of
from oauth_svc.core.connection import Account, Connection, ended_words
from oauth_svc.core.flow import Profile
from oauth_svc.operations.deps import Deps
from oauth_svc.store.gaps import Gap
from oauth_svc.store.listings import ListingProgress


class AccountSummary(BaseModel):
    """One account under a connection."""

    account_id: UUID
    external_id: str
    name: str
    access: AccountAccess
    since: datetime
    cause: RevocationCause | None = None
    verified_at: datetime | None = None
    asked: bool = Field(default=True, description="false: the platform could not be asked about it the last time")


class ListingView(BaseModel):
    """How far the list of a connection's accounts is."""

    state: Literal["complete", "under_way", "failed"]
    since: datetime | None = None
    found: int | None = Field(default=None, description="accounts found so far, while it is under way")
    reason: str | None = Field(default=None, description="why the last one failed; it is tried again by itself")


class MissingScope(BaseModel):
    """A permission that was not given, and what does not work without it."""

    scope: str
    effect: str


class ConnectionView(BaseModel):
    """One grant, with everything that a person needs to see which token it is and what to click."""

    connection_id: UUID
    token_id: UUID
    provider: str
    title: str
    kind: TokenKind
    subject_name: str
    owner_user_id: UUID
    status: TokenStatus
    since: datetime
    cause: RevocationCause | None = None
    detected_by: DetectedBy | None = None
    expires_at: datetime | None = Field(default=None, description="full expiry: after it only a person can help")
    access_expires_at: datetime | None = None
    authorized_at: datetime
    last_refreshed_at: datetime | None = None
    last_failure: str | None = Field(default=None, description="class and code of the present trouble")
    version: int
    summary: str
    missing: list[MissingScope] = []
    fix: str | None = None
    fix_label: str | None = None
    fix_url: str | None = None
    accounts: list[AccountSummary] = Field(
        description="the first 500; /api/v1/accounts?connection_id= has all of them, page by page"
    )
    accounts_total: int
    accounts_lost: int
    listing: ListingView


class AccountView(AccountSummary):
    """One account with the state of its grant."""

    connection_id: UUID
    provider: str
    title: str
    kind: TokenKind
    status: TokenStatus
    usable: bool = Field(description="the grant lives and the account is reached")
    expires_at: datetime | None = None
    summary: str
    missing: list[MissingScope] = []
    fix_url: str | None = None


class ProviderView(BaseModel):
    """A platform or integration that can be connected."""

    provider: str
    title: str
    kind: TokenKind
    flow: Literal["consent", "credentials"]
    connect_url: str
    incident: bool = False


class Providers(BaseModel):
    """All of them."""

    items: list[ProviderView]


class IntegrationView(BaseModel):
    """One integration, connected or not."""

    provider: str
    title: str
    connection: ConnectionView | None = None
    can_manage: bool = Field(description="whether this person may connect or disconnect it")
    connect_url: str | None = None
    ask: str | None = Field(default=None, description="whom to ask, for those who may not")


class Integrations(BaseModel):
    """All of them."""

    items: list[IntegrationView]


class GapView(BaseModel):
    """Data of one account that was never synced and will not come. `to` is null while it is still growing."""

    gap_id: UUID
    account_id: UUID
    account_name: str
    connection_id: UUID
    provider: str
    from_: datetime = Field(serialization_alias="from")
    to: datetime | None = None
    cause: str | None = None
    why: str = Field(description="the cause in words")


class Gaps(BaseModel):
    """A page of gaps, and the totals of the workspace."""

    items: list[GapView]
    next_cursor: str | None = None
    total: int
    open: int
    total_seconds: float


def connection_view(deps: Deps, connection: Connection, progress: ListingProgress | None = None) -> ConnectionView:
    profile = deps.providers[connection.provider].profile
    needs_person = not connection.status.alive or connection.status is TokenStatus.EXPIRING
    missing = missing_view(connection, profile)
    wants_click = needs_person or bool(missing)
    return ConnectionView(
        connection_id=connection.connection_id,
        token_id=connection.connection_id,
        provider=connection.provider,
        title=profile.title,
        kind=connection.kind,
        subject_name=connection.subject_name,
        owner_user_id=connection.owner_user_id,
        status=connection.status,
        since=connection.since,
        cause=connection.cause,
        detected_by=connection.detected_by,
        expires_at=connection.expires_at,
        access_expires_at=connection.access_expires_at,
        authorized_at=connection.authorized_at,
        last_refreshed_at=connection.last_refreshed_at,
        last_failure=connection.last_failure,
        version=connection.version,
        summary=_not_listed(connection, profile, progress) or summary_of(connection, profile),
        missing=missing,
        fix=_fix(connection, profile) if wants_click else None,
        fix_label=_fix_label(connection, profile) if wants_click else None,
        fix_url=deps.fix_url(connection.provider, connection.connection_id) if wants_click else None,
        accounts=[account_summary(account) for account in connection.accounts[:ACCOUNTS_PER_EVENT]],
        accounts_total=len(connection.accounts),
        accounts_lost=sum(account.access is AccountAccess.LOST for account in connection.accounts),
        listing=listing_view(progress),
    )


_WHY_NOT_LISTED = {
    Verdict.RETRY_LATER.value: "has trouble of its own",
    Verdict.RATE_LIMITED.value: "is asked too often at the moment",
    Verdict.OUR_BUG.value: "refuses Wevion's own request, which Wevion's operators look into",
    Verdict.ACCOUNT_LOST_ACCESS.value: "does not let Wevion read them",
}


def _not_listed(connection: Connection, profile: Profile, progress: ListingProgress | None) -> str | None:
    """Return what to say of a living grant whose accounts were never listed; None for every other."""
    if not connection.status.alive or connection.accounts or progress is None or progress.failure is None:
        return None
    why = _WHY_NOT_LISTED.get(progress.failure.partition(":")[0], "gives no answer")
    return (
        f"{profile.title} is connected. Its accounts are not listed yet, because {profile.title} {why}. "
        "It is tried again by itself."
    )


def listing_view(progress: ListingProgress | None) -> ListingView:
    """Say how far the list of accounts is."""
    if progress is None:
        return ListingView(state="complete")
    if progress.failure is not None:
        return ListingView(state="failed", reason=progress.failure)
    return ListingView(state="under_way", since=progress.began_at, found=progress.listed)


def missing_view(connection: Connection, profile: Profile) -> list[MissingScope]:
    """Return what was not given, and what does not work without it; everything else goes on."""
    if not connection.status.alive:
        return []  # nothing works, and a new consent asks for everything
    return [MissingScope(scope=scope, effect=profile.features.get(scope, scope)) for scope in connection.scopes_missing]


def account_summary(account: Account) -> AccountSummary:
    return AccountSummary(
        account_id=account.account_id,
        external_id=account.external_id,
        name=account.name,
        access=account.access,
        since=account.since,
        cause=account.cause,
        verified_at=account.verified_at,
        asked=account.asked,
    )


def account_view(deps: Deps, account: Account, connection: Connection) -> AccountView:
    profile = deps.providers[connection.provider].profile
    lost = account.access is AccountAccess.LOST
    words = (
        f"Access to this account was removed at {profile.title}."
        if lost and connection.status.alive
        else summary_of(connection, profile)
    )
    missing = missing_view(connection, profile)
    needs_person = lost or bool(missing) or not connection.status.alive or connection.status is TokenStatus.EXPIRING
    return AccountView(
        **account_summary(account).model_dump(),
        connection_id=connection.connection_id,
        provider=connection.provider,
        title=profile.title,
        kind=connection.kind,
        status=connection.status,
        usable=connection.status.alive and not lost,
        expires_at=connection.expires_at,
        summary=words,
        missing=missing,
        fix_url=deps.fix_url(connection.provider, connection.connection_id) if needs_person else None,
    )


def summary_of(connection: Connection, profile: Profile) -> str:
    """Return one sentence about the grant."""
    match connection.status:
        case TokenStatus.ACTIVE:
            return (
                f"{profile.title} is connected."
                if not connection.scopes_missing
                else f"{profile.title} is connected, but this does not work: {_effects(connection, profile)}."
            )
        case TokenStatus.EXPIRING:
            return f"{profile.title} ends soon and cannot be renewed without you."
        case TokenStatus.DEGRADED:
            return f"{profile.title} does not renew at the moment; it is retried by itself."
        case TokenStatus.EXPIRED:
            return f"{profile.title} reached its full expiry."
        case TokenStatus.REVOKED:
            return ended_words(connection.status, connection.cause, profile.title)


def _effects(connection: Connection, profile: Profile) -> str:
    """Return what does not work, each thing once."""
    return "; ".join(dict.fromkeys(item.effect for item in missing_view(connection, profile)))


def _only_lacks(connection: Connection) -> bool:
    return connection.status in (TokenStatus.ACTIVE, TokenStatus.DEGRADED) and bool(connection.scopes_missing)


def _fix(connection: Connection, profile: Profile) -> str:
    if _only_lacks(connection):
        return f"Give the missing permission at {profile.title}; everything else goes on meanwhile."
    if profile.by_consent:
        return f"Re-authorise {profile.title}; nothing has to be set up again."
    return f"Enter the credentials of {profile.title} again; nothing has to be set up again."


def _fix_label(connection: Connection, profile: Profile) -> str:
    return "Grant what is missing" if _only_lacks(connection) else f"Re-authorise {profile.title}"


def gap_view(gap: Gap) -> GapView:
    return GapView(
        gap_id=gap.gap_id,
        account_id=gap.account_id,
        account_name=gap.account_name,
        connection_id=gap.connection_id,
        provider=gap.provider,
        from_=gap.from_at,
        to=gap.to_at,
        cause=gap.cause,
        why=_why(gap),
    )


def _why(gap: Gap) -> str:
    if gap.cause is None or gap.cause == "expired":
        return "The access reached its full expiry."
    return sentence(RevocationCause(gap.cause), title_of(gap.provider))
