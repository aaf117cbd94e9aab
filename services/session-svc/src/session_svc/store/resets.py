"""Password resets: asked for by address, mailed by the sweep, used once."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool


@dataclass(frozen=True, slots=True, repr=False)
class Reset:
    """One reset."""

    reset_id: UUID
    email_key: str
    user_id: UUID | None
    state: str
    expires_at: datetime | None
    attempt: int
    sealed_secret: bytes | None


async def insert(db: Db, reset_id: UUID, email_key: str, now: datetime) -> None:
    """Somebody asked for a link to this address.

    Args:
        db: the connection or the transaction to use.
        reset_id: the request for a link.
        email_key: the address in the form in which addresses are compared.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO password_resets (reset_id, email_key, state, requested_at, next_attempt_at)
           VALUES ($1, $2, 'requested', $3, $3)""",
        reset_id,
        email_key,
        now,
    )


async def claim_due(pool: Pool, now: datetime, until: datetime, limit: int) -> tuple[Reset, ...]:
    """Take requests whose mail is due; other replicas leave them alone until `until`.

    Args:
        pool: the service's database.
        now: the present time, in UTC.
        until: how long other replicas leave them alone, in UTC.
        limit: how many are taken at most.

    """
    rows = await pool.fetch(
        """UPDATE password_resets AS r SET next_attempt_at = $2, attempt = r.attempt + 1
           FROM (SELECT reset_id FROM password_resets WHERE state = 'requested' AND next_attempt_at <= $1
                 ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS due
           WHERE r.reset_id = due.reset_id
           RETURNING r.reset_id, r.email_key, r.user_id, r.state, r.expires_at, r.attempt, r.sealed_secret""",
        now,
        until,
        limit,
    )
    return tuple(Reset(**dict(row.items())) for row in rows)


async def drop(pool: Pool, reset_id: UUID) -> None:
    """Nobody has that address, or the mail cannot be sent."""
    await pool.execute(
        "UPDATE password_resets SET state = 'dropped', sealed_secret = NULL WHERE reset_id = $1", reset_id
    )


async def retry_at(pool: Pool, reset_id: UUID, at: datetime) -> None:
    """The mail could not be sent now."""
    await pool.execute("UPDATE password_resets SET next_attempt_at = $2 WHERE reset_id = $1", reset_id, at)


async def prepare(
    pool: Pool, reset_id: UUID, *, user_id: UUID, secret_hash: bytes, sealed_secret: bytes, expires_at: datetime
) -> None:
    """The link that is about to be mailed. Tried again, it is the same link with a later end.

    Args:
        pool: the service's database.
        reset_id: the request for a link.
        user_id: the person.
        secret_hash: the digest under which the secret is looked up.
        sealed_secret: the secret of the link, encrypted.
        expires_at: when it ends, in UTC.

    """
    await pool.execute(
        """UPDATE password_resets SET user_id = $2, secret_hash = $3, sealed_secret = $4, expires_at = $5
           WHERE reset_id = $1 AND state = 'requested'""",
        reset_id,
        user_id,
        secret_hash,
        sealed_secret,
        expires_at,
    )


async def mailed(pool: Pool, reset_id: UUID) -> None:
    """The notifier has the message."""
    await pool.execute(
        """UPDATE password_resets
           SET sealed_secret = NULL, state = CASE WHEN state = 'requested' THEN 'mailed' ELSE state END
           WHERE reset_id = $1""",
        reset_id,
    )


async def lock_by_secret(db: Db, secret_hash: bytes) -> Reset | None:
    """Return the reset behind a link, locked."""
    row = await db.fetchrow(
        """SELECT reset_id, email_key, user_id, state, expires_at, attempt, sealed_secret FROM password_resets
           WHERE secret_hash = $1 FOR UPDATE""",
        secret_hash,
    )
    return None if row is None else Reset(**dict(row.items()))


async def use(db: Db, reset_id: UUID, user_id: UUID, now: datetime) -> None:
    """The link did its work; the user's other links work no more.

    Args:
        db: the connection or the transaction to use.
        reset_id: the request for a link.
        user_id: the person.
        now: the present time, in UTC.

    """
    await db.execute(
        """UPDATE password_resets SET state = CASE WHEN reset_id = $1 THEN 'used' ELSE 'replaced' END, used_at = $3
           WHERE reset_id = $1 OR (user_id = $2 AND state IN ('requested', 'mailed'))""",
        reset_id,
        user_id,
        now,
    )


async def end_of_user(db: Db, user_id: UUID, email_key: str, now: datetime) -> None:
    """End every open link of a user, mailed or waiting to be mailed.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        email_key: the address in the form in which addresses are compared.
        now: the present time, in UTC.

    """
    await db.execute(
        """UPDATE password_resets SET state = 'replaced', used_at = $3, sealed_secret = NULL
           WHERE state IN ('requested', 'mailed') AND (user_id = $1 OR email_key = $2)""",
        user_id,
        email_key,
        now,
    )


async def purge(pool: Pool, requested_before: datetime) -> int:
    """Forget old requests; returns how many."""
    status = await pool.execute("DELETE FROM password_resets WHERE requested_at < $1", requested_before)
    return int(status.split()[-1])
