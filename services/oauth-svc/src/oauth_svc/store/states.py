"""Consents under way, and webhook messages that were taken."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.postgres import Db, Pool


@dataclass(frozen=True, slots=True)
class ConsentState:
    """One consent that was started. The browser holds what hashes to `digest`."""

    digest: bytes
    provider: str
    workspace_id: UUID
    user_id: UUID
    session_id: str
    connection_id: UUID | None
    return_to: str
    scopes: tuple[str, ...]
    sealed_verifier: bytes | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    outcome: dict[str, Any] | None = None


async def add(db: Db | Pool, state: ConsentState) -> None:
    await db.execute(
        """INSERT INTO oauth_state (state_digest, provider, workspace_id, user_id, session_id, connection_id,
             return_to, scopes, sealed_verifier, created_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        state.digest,
        state.provider,
        state.workspace_id,
        state.user_id,
        state.session_id,
        state.connection_id,
        state.return_to,
        list(state.scopes),
        state.sealed_verifier,
        state.created_at,
        state.expires_at,
    )


async def get(db: Db | Pool, digest: bytes) -> ConsentState | None:
    row = await db.fetchrow(
        """SELECT state_digest, provider, workspace_id, user_id, session_id, connection_id, return_to, scopes,
             sealed_verifier, created_at, expires_at, used_at, outcome
           FROM oauth_state WHERE state_digest = $1""",
        digest,
    )
    if row is None:
        return None
    return ConsentState(
        digest=row["state_digest"],
        provider=row["provider"],
        workspace_id=row["workspace_id"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        connection_id=row["connection_id"],
        return_to=row["return_to"],
        scopes=tuple(row["scopes"]),
        sealed_verifier=row["sealed_verifier"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        outcome=row["outcome"],
    )


async def use(db: Db | Pool, digest: bytes, now: datetime) -> bool:
    """True for exactly one caller, ever. Committed before the code is sent, so that it is sent once."""
    used = await db.fetchval(
        """UPDATE oauth_state SET used_at = $2 WHERE state_digest = $1 AND used_at IS NULL RETURNING true""",
        digest,
        now,
    )
    return bool(used)


async def finish(db: Db | Pool, digest: bytes, outcome: dict[str, Any]) -> None:
    await db.execute("UPDATE oauth_state SET outcome = $2 WHERE state_digest = $1", digest, outcome)


async def forget_old(db: Db | Pool, before: datetime) -> None:
    await db.execute("DELETE FROM oauth_state WHERE expires_at < $1", before)
    await db.execute("DELETE FROM webhook_seen WHERE seen_at < $1", before)
    await db.execute("DELETE FROM login_budget WHERE at < $1", before)


async def take_webhook(db: Db, provider: str, message_id: str, now: datetime) -> bool:
    """True the first time, in the transaction of the effect.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        message_id: the platform's id of the message.
        now: the present time, in UTC.

    """
    taken = await db.fetchval(
        """INSERT INTO webhook_seen (provider, message_id, seen_at) VALUES ($1, $2, $3)
           ON CONFLICT DO NOTHING RETURNING true""",
        provider,
        message_id,
        now,
    )
    return bool(taken)
