"""Browsers in which people have signed in."""

from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool


async def known(db: Db | Pool, secret_hash: bytes, email_key: str) -> bool:
    """Return whether the account with this address has signed in with this device."""
    row = await db.fetchrow(
        """SELECT d.user_id FROM known_devices AS d JOIN users AS u ON u.user_id = d.user_id
           WHERE d.secret_hash = $1 AND u.email_key = $2""",
        secret_hash,
        email_key,
    )
    return row is not None


async def remember(db: Db, secret_hash: bytes, user_id: UUID, now: datetime) -> bool:
    """Note that the user signs in with this device; returns whether it is new to them.

    Args:
        db: the connection or the transaction to use.
        secret_hash: the digest of the device's cookie.
        user_id: the person.
        now: the present time, in UTC.

    """
    row = await db.fetchrow(
        """INSERT INTO known_devices (secret_hash, user_id, first_used_at, last_used_at) VALUES ($1, $2, $3, $3)
           ON CONFLICT (user_id, secret_hash) DO UPDATE SET last_used_at = excluded.last_used_at
           RETURNING xmax = 0 AS inserted""",
        secret_hash,
        user_id,
        now,
    )
    return bool(row and row["inserted"])


async def forget_of_user(db: Db, user_id: UUID) -> None:
    """Forget every device of a user: each has to sign in as a stranger's would."""
    await db.execute("DELETE FROM known_devices WHERE user_id = $1", user_id)


async def purge(pool: Pool, used_before: datetime) -> int:
    """Forget devices that were not used for long; returns how many."""
    status = await pool.execute("DELETE FROM known_devices WHERE last_used_at < $1", used_before)
    return int(status.split()[-1])
