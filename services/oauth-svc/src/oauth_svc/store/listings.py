"""What became of the last listing of a connection's accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db


async def doubted_at(db: Db, connection_id: UUID) -> datetime | None:
    """Return since when the platform's list is doubted; None while it is not."""
    found: datetime | None = await db.fetchval(
        "SELECT doubted_at FROM account_listing WHERE connection_id = $1", connection_id
    )
    return found


async def doubt(db: Db, connection_id: UUID, at: datetime | None) -> None:
    """Note since when the platform's list is doubted; None: a list was believed."""
    if at is None:
        await db.execute(
            "UPDATE account_listing SET doubted_at = NULL WHERE connection_id = $1 AND doubted_at IS NOT NULL",
            connection_id,
        )
        return
    await db.execute(
        """INSERT INTO account_listing (connection_id, doubted_at) VALUES ($1, $2)
           ON CONFLICT (connection_id) DO UPDATE SET doubted_at = coalesce(account_listing.doubted_at, $2)""",
        connection_id,
        at,
    )


async def is_due(db: Db, connection_id: UUID, now: datetime) -> bool:
    """Return whether a probe has to list the accounts, and not only ask about the grant."""
    due_at: datetime | None = await db.fetchval(
        "SELECT list_due_at FROM account_listing WHERE connection_id = $1", connection_id
    )
    return due_at is None or due_at <= now


async def plan(db: Db, connection_id: UUID, due_at: datetime | None) -> None:
    """Note when the accounts are to be listed again; None: by the next probe."""
    await db.execute(
        """INSERT INTO account_listing (connection_id, list_due_at) VALUES ($1, $2)
           ON CONFLICT (connection_id) DO UPDATE SET list_due_at = $2""",
        connection_id,
        due_at,
    )


@dataclass(frozen=True, slots=True)
class ListingProgress:
    """What is to be said of a connection's list of accounts.

    Attributes:
        began_at: a listing is under way since then.
        listed: how many accounts it has found so far.
        failure: class and code of the last listing, if it failed.

    """

    began_at: datetime | None
    listed: int | None
    failure: str | None


async def begin(db: Db, connection_id: UUID, now: datetime) -> None:
    """Note that a listing is waited for."""
    await db.execute(
        """INSERT INTO account_listing (connection_id, began_at, listed) VALUES ($1, $2, 0)
           ON CONFLICT (connection_id) DO UPDATE SET began_at = $2, listed = 0, failure = NULL""",
        connection_id,
        now,
    )


async def progress(db: Db, connection_id: UUID, listed: int, now: datetime) -> None:
    """Note how many accounts a listing has found so far.

    Args:
        db: the connection or the transaction to use.
        connection_id: the connection.
        listed: how many accounts were found so far.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO account_listing (connection_id, began_at, listed) VALUES ($1, $3, $2)
           ON CONFLICT (connection_id) DO UPDATE
           SET began_at = coalesce(account_listing.began_at, $3), listed = $2, failure = NULL""",
        connection_id,
        listed,
        now,
    )


async def end(db: Db, connection_id: UUID, failure: str | None) -> None:
    """Note that a listing is over, and how it failed, if it did."""
    if failure is None:
        await db.execute(
            """UPDATE account_listing SET began_at = NULL, listed = NULL, failure = NULL
               WHERE connection_id = $1 AND (began_at IS NOT NULL OR failure IS NOT NULL)""",
            connection_id,
        )
        return
    await db.execute(
        """INSERT INTO account_listing (connection_id, failure)
           SELECT connection_id, $2 FROM connection WHERE connection_id = $1
           ON CONFLICT (connection_id) DO UPDATE SET began_at = NULL, listed = NULL, failure = $2""",
        connection_id,
        failure,
    )


async def of(db: Db, connection_ids: Sequence[UUID]) -> dict[UUID, ListingProgress]:
    """Return what is to be said of these connections' lists; those of which nothing is are left out."""
    rows = await db.fetch(
        """SELECT connection_id, began_at, listed, failure FROM account_listing
           WHERE connection_id = ANY($1::uuid[]) AND (began_at IS NOT NULL OR failure IS NOT NULL)""",
        list(connection_ids),
    )
    return {row["connection_id"]: ListingProgress(row["began_at"], row["listed"], row["failure"]) for row in rows}
