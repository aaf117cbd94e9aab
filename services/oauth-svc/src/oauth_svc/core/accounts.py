"""What a listing by the platform changes: accounts that were lost, came back, joined or were renamed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from common.contracts import AccountAccess, AccountAccessChangedV1, EventBody, RevocationCause

from .connection import Account, Connection, PlatformAccount
from .gaps import of_account


@dataclass(frozen=True, slots=True)
class Comparison:
    """The accounts as they are now, those whose rows must be written, and those whose access changed.

    `good_before` says until when each lost account was known to work, for its data gap.
    """

    accounts: tuple[Account, ...]
    to_write: tuple[Account, ...]
    told: tuple[Account, ...]
    good_before: Mapping[UUID, datetime] = field(default_factory=dict)

    def events(self, connection: Connection) -> Iterable[EventBody]:
        """`account.access_changed` for each, at the connection's new version."""
        for account in self.told:
            yield AccountAccessChangedV1.model_construct(
                account=account.ref,
                token_id=connection.connection_id,
                workspace_id=connection.workspace_id,
                owner_user_id=connection.owner_user_id,
                provider=connection.provider,
                version=connection.version,
                access=account.access,
                cause=account.cause,
            )


def compare(
    known: Sequence[Account],
    seen: Sequence[PlatformAccount],
    now: datetime,
    new_id: Callable[[], UUID],
    *,
    last_good_at: datetime,
    cause: RevocationCause = RevocationCause.PERMISSION_CHANGED,
    first: bool = False,
) -> Comparison:
    """Compare the stored accounts with the platform's list.

    `first` is the listing that comes with a first consent: its accounts are no news of their own, since the
    `token.issued` that goes with them names them.
    """
    listed = {entry.external_id: entry for entry in seen}
    accounts: list[Account] = []
    to_write: list[Account] = []
    told: list[Account] = []
    good_before: dict[UUID, datetime] = {}
    for account in known:
        entry = listed.pop(account.external_id, None)
        fresh = _confirmed(account, entry, now) if entry and entry.usable else _lost(account, cause, now)
        accounts.append(fresh)
        if fresh != account:
            to_write.append(fresh)
        if fresh.access is not account.access:
            told.append(fresh)
            if fresh.access is AccountAccess.LOST:
                good_before[account.account_id] = of_account(account, last_good_at)
    for entry in listed.values():
        if not entry.usable:
            continue
        joined = Account(
            account_id=new_id(),
            external_id=entry.external_id,
            name=entry.name,
            access=AccountAccess.GRANTED,
            since=now,
            verified_at=now,
            details=entry.details,
        )
        accounts.append(joined)
        to_write.append(joined)
        if not first:
            told.append(joined)
    return Comparison(tuple(accounts), tuple(to_write), tuple(told), good_before)


def _confirmed(account: Account, entry: PlatformAccount, now: datetime) -> Account:
    since = account.since if account.access is AccountAccess.GRANTED else now
    return replace(
        account,
        name=entry.name,
        access=AccountAccess.GRANTED,
        since=since,
        cause=None,
        verified_at=now,
        details=entry.details or account.details,
    )


def _lost(account: Account, cause: RevocationCause, now: datetime) -> Account:
    if account.access is AccountAccess.LOST:
        return account
    return replace(account, access=AccountAccess.LOST, since=now, cause=cause)
