"""Sealed credentials and the data keys that seal them. Nothing here can read what is inside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """One row of `credential`."""

    connection_id: UUID
    workspace_id: UUID
    key_id: UUID
    version: int
    generation: int
    sealed: bytes
    issued_at: datetime
    match_digest: bytes | None = None
    token_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class DataKeyRow:
    """One wrapped data key."""

    key_id: UUID
    workspace_id: UUID
    kek_id: str
    wrapped: bytes
    state: str


async def get(db: Db, connection_id: UUID) -> SealedCredential | None:
    found = await get_many(db, [connection_id])
    return found.get(connection_id)


async def get_many(db: Db, connection_ids: Sequence[UUID]) -> dict[UUID, SealedCredential]:
    rows = await db.fetch(
        """SELECT connection_id, workspace_id, key_id, version, generation, sealed, issued_at
           FROM credential WHERE connection_id = ANY($1)""",
        list(connection_ids),
    )
    return {
        row["connection_id"]: SealedCredential(
            row["connection_id"],
            row["workspace_id"],
            row["key_id"],
            row["version"],
            row["generation"],
            row["sealed"],
            row["issued_at"],
        )
        for row in rows
    }


async def put(db: Db, credentials: Sequence[SealedCredential]) -> None:
    """Write credentials of connections that this transaction has locked."""
    if not credentials:
        return
    await db.execute(
        """INSERT INTO credential (connection_id, workspace_id, key_id, version, generation, sealed, issued_at,
             match_digest, token_hash)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[],
             $7::timestamptz[], $8::bytea[], $9::bytea[])
           ON CONFLICT (connection_id) DO UPDATE SET key_id = excluded.key_id, version = excluded.version,
             generation = excluded.generation, sealed = excluded.sealed, issued_at = excluded.issued_at,
             match_digest = excluded.match_digest, token_hash = excluded.token_hash""",
        [c.connection_id for c in credentials],
        [c.workspace_id for c in credentials],
        [c.key_id for c in credentials],
        [c.version for c in credentials],
        [c.generation for c in credentials],
        [c.sealed for c in credentials],
        [c.issued_at for c in credentials],
        [c.match_digest for c in credentials],
        [c.token_hash for c in credentials],
    )


async def forget(db: Db, connection_id: UUID) -> None:
    """Delete the credential and every answer that waits for promotion."""
    await db.execute("DELETE FROM credential WHERE connection_id = $1", connection_id)
    await db.execute("DELETE FROM refresh_attempt WHERE connection_id = $1", connection_id)


async def forget_ended_by_signal(db: Db, before: datetime, limit: int) -> int:
    """Delete the credentials of grants that a platform's signal ended before then; how many.

    One whose end the platform is yet to be told keeps its credential until then.
    """
    rows = await db.fetch(
        """DELETE FROM credential k USING connection c WHERE k.connection_id = c.connection_id AND k.connection_id IN (
             SELECT connection_id FROM connection WHERE status = 'revoked' AND detected_by = 'webhook' AND since < $1
               AND remote_revoke IS DISTINCT FROM 'due' AND EXISTS (
                 SELECT FROM credential h WHERE h.connection_id = connection.connection_id)
             ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING k.connection_id""",
        before,
        limit,
    )
    await db.execute(
        "DELETE FROM refresh_attempt WHERE connection_id = ANY($1)", [row["connection_id"] for row in rows]
    )
    return len(rows)


async def data_keys(db: Db, key_ids: Iterable[UUID]) -> list[DataKeyRow]:
    rows = await db.fetch(
        "SELECT key_id, workspace_id, kek_id, wrapped, state FROM data_key WHERE key_id = ANY($1)",
        list(key_ids),
    )
    return [DataKeyRow(r["key_id"], r["workspace_id"], r["kek_id"], r["wrapped"], r["state"]) for r in rows]


async def active_keys(db: Db, workspace_ids: Iterable[UUID]) -> list[DataKeyRow]:
    rows = await db.fetch(
        """SELECT key_id, workspace_id, kek_id, wrapped, state FROM data_key
           WHERE workspace_id = ANY($1) AND state = 'active'""",
        list(workspace_ids),
    )
    return [DataKeyRow(r["key_id"], r["workspace_id"], r["kek_id"], r["wrapped"], r["state"]) for r in rows]


async def add_key(db: Db, key: DataKeyRow, now: datetime) -> bool:
    """Store a new active key; False when another process made one for the workspace first."""
    made = await db.fetchval(
        """INSERT INTO data_key (key_id, workspace_id, kek_id, wrapped, state, created_at)
           VALUES ($1, $2, $3, $4, 'active', $5)
           ON CONFLICT (workspace_id) WHERE state = 'active' DO NOTHING RETURNING true""",
        key.key_id,
        key.workspace_id,
        key.kek_id,
        key.wrapped,
        now,
    )
    return bool(made)


async def ids_of_digest(db: Db, providers: Sequence[str], digest: bytes) -> list[UUID]:
    """Living connections whose refresh token is named by this digest, of either form."""
    rows = await db.fetch(
        """SELECT k.connection_id FROM credential k JOIN connection c USING (connection_id)
           WHERE (k.match_digest = $2 OR k.token_hash = $2)
             AND c.provider = ANY($1) AND c.status IN ('active', 'expiring', 'degraded')
           ORDER BY k.connection_id""",
        list(providers),
        digest,
    )
    return [row["connection_id"] for row in rows]
