"""Values: a connection (the grant) and the accounts under it, as the rules see them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from common.contracts import (
    ACCOUNTS_PER_EVENT,
    AccountAccess,
    AccountRef,
    DetectedBy,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenStatus,
    Verdict,
)
from common.platforms import sentence

DOUBT = "doubted"
"""How `last_failure` begins while a refusal is not believed; it stands in for a failure class."""


RESTORED = f"{Verdict.UNKNOWN_OUTCOME.value}:database_restored"
"""`last_failure` of a grant whose credential may have been presented by a database that was lost: the log has a newer
version of the token than the database has. It stays until a refresh succeeds or a person consents again."""

FROM = " at "
"""What stands in `last_failure` before the call that failed, when that was no refresh."""


_ADDRESS = re.compile(r"(?:[^\s@<>()]+@)+([^\s@<>()]+)")


def public_name(name: str) -> str:
    """Return an account's name as events may hold it: an email address in it becomes its domain."""
    return _ADDRESS.sub(r"\1", name) if "@" in name else name


@dataclass(frozen=True, slots=True)
class Account:
    """One ad account, or the one account of an integration.

    `used_at` is its last good use by a service. `asked` is False while the platform could not be asked about it.
    """

    account_id: UUID
    external_id: str
    name: str
    access: AccountAccess
    since: datetime
    cause: RevocationCause | None = None
    verified_at: datetime | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    used_at: datetime | None = None
    asked: bool = True

    @property
    def ref(self) -> AccountRef:
        """Return the account as events name it."""
        return AccountRef.model_construct(
            account_id=self.account_id, external_id=self.external_id, name=public_name(self.name)
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """One grant. `version` rises by one with every change that anybody outside may care about."""

    connection_id: UUID
    workspace_id: UUID
    provider: str
    kind: TokenKind
    subject: str
    subject_name: str
    owner_user_id: UUID
    version: int
    status: TokenStatus
    since: datetime
    cause: RevocationCause | None
    detected_by: DetectedBy | None
    expires_at: datetime | None
    access_expires_at: datetime | None
    scopes_missing: tuple[str, ...]
    authorized_at: datetime
    last_refreshed_at: datetime | None
    last_good_at: datetime
    last_failure: str | None = None
    accounts: tuple[Account, ...] = ()

    @classmethod
    def begun(
        cls,
        *,
        connection_id: UUID,
        workspace_id: UUID,
        provider: str,
        kind: TokenKind,
        subject: str,
        subject_name: str,
        owner_user_id: UUID,
        accounts: tuple[Account, ...] = (),
        now: datetime,
    ) -> "Connection":
        """Before its first consent is applied to it, in the transaction that makes it (hence version 0).

        Args:
            connection_id: the connection.
            workspace_id: the workspace.
            provider: the provider's id, such as `google-ads`.
            kind: the kind of its token.
            subject: the platform's id of the person who gave consent.
            subject_name: the platform's name of that person.
            owner_user_id: who connected it.
            accounts: its accounts.
            now: the present time, in UTC.

        """
        return cls(
            connection_id=connection_id,
            workspace_id=workspace_id,
            provider=provider,
            kind=kind,
            subject=subject,
            subject_name=subject_name,
            owner_user_id=owner_user_id,
            version=0,
            status=TokenStatus.ACTIVE,
            since=now,
            cause=None,
            detected_by=None,
            expires_at=None,
            access_expires_at=None,
            scopes_missing=(),
            authorized_at=now,
            last_refreshed_at=None,
            last_good_at=now,
            accounts=accounts,
        )

    @property
    def ref(self) -> TokenRef:
        """As events carry it. The parts were checked when they were stored, so they are not checked again.

        An event names the first accounts of a grant that has thousands; `token.accounts` has the others.
        """
        reached = sorted(
            (a for a in self.accounts if a.access is AccountAccess.GRANTED), key=lambda account: account.account_id
        )
        return TokenRef.model_construct(
            token_id=self.connection_id,
            kind=self.kind,
            provider=self.provider,
            workspace_id=self.workspace_id,
            owner_user_id=self.owner_user_id,
            version=self.version,
            accounts=tuple(account.ref for account in reached[:ACCOUNTS_PER_EVENT]),
            accounts_total=len(reached) if len(reached) > ACCOUNTS_PER_EVENT else None,
        )

    @property
    def doubted(self) -> bool:
        """Return whether the platform's last word about it was a refusal that is not believed (yet)."""
        return self.status.alive and self.last_failure is not None and self.last_failure.startswith(DOUBT)

    @property
    def restored(self) -> bool:
        """Return whether a database that was lost may have presented its credential, and nothing has settled it."""
        return self.status.alive and self.last_failure == RESTORED

    @property
    def asking_fails(self) -> bool:
        """Return whether its present trouble is that of a call which is no refresh."""
        return self.last_failure is not None and FROM in self.last_failure

    @property
    def ended_by_signal(self) -> bool:
        """Return whether a platform's signal ended it, which can be mistaken."""
        return self.status is TokenStatus.REVOKED and self.detected_by is DetectedBy.WEBHOOK

    def with_accounts(self, accounts: tuple[Account, ...]) -> "Connection":
        return replace(self, accounts=accounts)


@dataclass(frozen=True, slots=True)
class PlatformAccount:
    """An account as the platform lists it. `usable` is false for one that is listed but closed to us."""

    external_id: str
    name: str
    usable: bool = True
    details: Mapping[str, str] = field(default_factory=dict)


def ended_as(status: TokenStatus, cause: RevocationCause | None) -> str:
    """Return how a dead grant ended: its cause, `expired`, or `not_stated` where the platform does not say."""
    if cause is not None:
        return cause.value
    return "expired" if status is TokenStatus.EXPIRED else "not_stated"


def ended_words(status: TokenStatus, cause: RevocationCause | None, title: str) -> str:
    """Return how a dead grant ended, for people."""
    return "It reached its full expiry." if status is TokenStatus.EXPIRED else sentence(cause, title)


@dataclass(frozen=True, slots=True)
class Listing:
    """The accounts of a grant as its platform lists them now.

    Attributes:
        accounts: what the platform named.
        complete: False when a part could not be asked for (one organization refused, one page failed, more pages than
            are read): then an account that is missing may be in that part, and nothing is said of it.
        operations: what the platform counts of it against the quota of a day; 0 where it counts nothing.

    """

    accounts: tuple[PlatformAccount, ...]
    complete: bool = True
    operations: int = 0
