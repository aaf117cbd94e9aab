"""The budget of logins that a platform allows its user."""

from datetime import datetime, timedelta

from common.postgres import Db


async def take(db: Db, provider: str, subject: str, *, calls: int, per: timedelta) -> datetime | None:
    """Take one of a platform user's logins; None when it is granted, else when the next one is free.

    The platform counts per user, so workspaces share the budget. Counted before the call: failed logins count too.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        subject: the platform's id of the person who gave consent.
        calls: how many logins the platform allows in that time.
        per: the time that the platform counts over.

    """
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1 || '|' || $2, 0))", provider, subject)
    rows = await db.fetch(
        """SELECT at FROM login_budget WHERE provider = $1 AND subject = $2 AND at > clock_timestamp() - $3::interval
           ORDER BY at DESC LIMIT $4""",
        provider,
        subject,
        per,
        calls,
    )
    if len(rows) >= calls:
        oldest: datetime = rows[-1]["at"]
        return oldest + per
    await db.execute(
        "INSERT INTO login_budget (provider, subject, at) VALUES ($1, $2, clock_timestamp())", provider, subject
    )
    return None
