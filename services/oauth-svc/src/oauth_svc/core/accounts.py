"""What a listing by the platform changes: accounts that were lost, came back, joined or were renamed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import (
    ACCOUNTS_PER_EVENT,
    AccountAccess,
    AccountAccessChangedV1,
    EventBody,
    RevocationCause,
    TokenAccountsV1,
)
from oauth_svc.core.connection import Account, Connection, Listing, PlatformAccount
from oauth_svc.core.gaps import of_account


@dataclass(frozen=True, slots=True)
class Comparison:
    """The accounts as they are now, those whose rows must be written, and those whose access changed.

    `good_before` says until when each lost account was known to work, for its data gap.
    """

    accounts: tuple[Account, ...]
    to_write: tuple[Account, ...]
    told: tuple[Account, ...]
    good_before: Mapping[UUID, datetime] = field(default_factory=dict)

    @property
    def loses_most(self) -> bool:
        """Return whether more than half of the accounts that were reached are missing now."""
        lost = len(self.good_before)
        kept = sum(account.access is AccountAccess.GRANTED for account in self.accounts) - sum(
            account.access is AccountAccess.GRANTED for account in self.told
        )
        return lost > kept

    def without_losses(self, known: Sequence[Account]) -> "Comparison":
        """Return what the list adds and confirms; the accounts that it lacks stay as they are."""
        before = {account.account_id: account for account in known}
        kept = {account_id: before[account_id] for account_id in self.good_before}
        return Comparison(
            tuple(kept.get(account.account_id, account) for account in self.accounts),
            tuple(account for account in self.to_write if account.account_id not in kept),
            tuple(account for account in self.told if account.account_id not in kept),
        )

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


LOOK_AGAIN_AFTER = timedelta(minutes=2)
"""How much later a list has to say the same before it is believed that a living grant lost most of its accounts."""


def is_believed(doubted_at: datetime | None, now: datetime) -> bool:
    """Return whether a list without most of a living grant's accounts is the second one, minutes after the first.

    One empty answer proves nothing: platforms give them while they are in trouble, and each account that is called
    lost stops its syncs, pauses its rules and mails its people.
    """
    return doubted_at is not None and now - doubted_at >= LOOK_AGAIN_AFTER


def pages(connection: Connection, before: int) -> list[TokenAccountsV1]:
    """Return the pages of a grant's accounts, for one that has more than an event can name; else none.

    Args:
        connection: the grant as it is now.
        before: how many accounts it reached before; pages that it does not need any more are sent empty.

    """
    reached = sorted(
        (a.ref for a in connection.accounts if a.access is AccountAccess.GRANTED), key=lambda ref: ref.account_id
    )
    count = _page_count(len(reached))
    ref = connection.ref
    return [
        TokenAccountsV1.model_construct(
            token=ref.model_copy(
                update={"accounts": tuple(reached[page * ACCOUNTS_PER_EVENT : (page + 1) * ACCOUNTS_PER_EVENT])}
                if page < count
                else {"accounts": ()}
            ),
            page=page,
            pages=max(count, 1),
        )
        for page in range(max(count, _page_count(before)))
    ]


def _page_count(accounts: int) -> int:
    return 0 if accounts <= ACCOUNTS_PER_EVENT else -(-accounts // ACCOUNTS_PER_EVENT)


def compare(
    known: Sequence[Account],
    seen: Listing,
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

    Args:
        known: the accounts as they are stored.
        seen: the platform's list.
        now: the present time, in UTC.
        new_id: makes ids.
        last_good_at: when the accounts were last used well, in UTC.
        cause: why an account is no longer listed.
        first: the listing comes with a first consent.

    """
    listed = {entry.external_id: entry for entry in seen.accounts}
    accounts: list[Account] = []
    to_write: list[Account] = []
    told: list[Account] = []
    good_before: dict[UUID, datetime] = {}
    for account in known:
        entry = listed.pop(account.external_id, None)
        if entry is None and not seen.complete:
            fresh = replace(account, asked=False)
        elif entry is not None and entry.usable:
            fresh = _confirmed(account, entry, now)
        else:
            fresh = _lost(account, cause, now)
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
        asked=True,
    )


def _lost(account: Account, cause: RevocationCause, now: datetime) -> Account:
    if account.access is AccountAccess.LOST:
        return account
    return replace(account, access=AccountAccess.LOST, since=now, cause=cause, asked=True)
