"""What became of the last listing of a connection's accounts."""

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
