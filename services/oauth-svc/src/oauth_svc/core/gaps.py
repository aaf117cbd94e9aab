"""Where the data gap of an account begins: at its last good moment, never at the detection (E3, L3)."""

from datetime import datetime

from oauth_svc.core.connection import Account, Connection


def last_good_use(
    served_at: datetime | None, refused_at: datetime | None, used_before: datetime | None
) -> datetime | None:
    """Return the last hand-out of a token that was followed by no report of a refusal."""
    if served_at is not None and (refused_at is None or refused_at < served_at):
        return served_at
    return used_before


def of_grant(connection: Connection, account: Account) -> datetime:
    """Return when the grant ends: whatever proved it last, or this account's own last good use."""
    known = (account.verified_at, account.used_at, connection.last_good_at)
    return max(moment for moment in known if moment is not None)


def of_account(account: Account, grant_last_good_at: datetime) -> datetime:
    """Return when one account of a living grant is lost. The grant's refreshes prove nothing about a single account."""
    known = [moment for moment in (account.verified_at, account.used_at) if moment is not None]
    return max(known) if known else grant_last_good_at
