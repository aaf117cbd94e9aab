"""Data keys and what they seal: counts, rotation, re-encryption, retirement. Progress is a comparison, not a cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db
from oauth_svc.store.credentials import DataKeyRow


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How many data keys of one state are under one key-encryption key, and how many ciphertexts they seal."""

    kek_id: str
    state: str
    data_keys: int
    ciphertexts: int


async def usage(db: Db) -> list[KeyUse]:
    rows = await db.fetch(
        """SELECT d.kek_id, d.state, count(*) AS data_keys, coalesce(sum(u.n), 0)::bigint AS ciphertexts
           FROM data_key d LEFT JOIN (
             SELECT key_id, count(*) AS n FROM (
               SELECT key_id FROM credential
               UNION ALL SELECT key_id FROM refresh_attempt WHERE key_id IS NOT NULL) s GROUP BY key_id
           ) u USING (key_id) GROUP BY d.kek_id, d.state ORDER BY d.kek_id, d.state"""
    )
    return [KeyUse(r["kek_id"], r["state"], r["data_keys"], r["ciphertexts"]) for r in rows]


async def workspaces(db: Db, after: UUID | None, limit: int) -> list[UUID]:
    """Workspaces with an active data key, in id order."""
    rows = await db.fetch(
        """SELECT workspace_id FROM data_key WHERE state = 'active' AND ($1::uuid IS NULL OR workspace_id > $1)
           ORDER BY workspace_id LIMIT $2""",
        after,
        limit,
    )
    return [row["workspace_id"] for row in rows]


async def replace_active(db: Db, key: DataKeyRow, now: datetime) -> None:
    """Make `key` the workspace's active one; the one before opens what it sealed until that is re-encrypted."""
    await db.execute(
        "UPDATE data_key SET state = 'retiring' WHERE workspace_id = $1 AND state = 'active'", key.workspace_id
    )
    await db.execute(
        """INSERT INTO data_key (key_id, workspace_id, kek_id, wrapped, state, created_at)
           VALUES ($1, $2, $3, $4, 'active', $5)""",
        key.key_id,
        key.workspace_id,
        key.kek_id,
        key.wrapped,
        now,
    )


async def under_other_kek(db: Db, current: str, limit: int) -> list[DataKeyRow]:
    """Data keys that another key-encryption key wraps."""
    rows = await db.fetch(
        """SELECT key_id, workspace_id, kek_id, wrapped, state FROM data_key WHERE kek_id <> $1
           ORDER BY key_id LIMIT $2""",
        current,
        limit,
    )
    return [DataKeyRow(r["key_id"], r["workspace_id"], r["kek_id"], r["wrapped"], r["state"]) for r in rows]


async def rewrap(db: Db, old: DataKeyRow, new: DataKeyRow) -> None:
    """Store the new wrapping, unless somebody was faster."""
    await db.execute(
        "UPDATE data_key SET kek_id = $3, wrapped = $4 WHERE key_id = $1 AND kek_id = $2",
        old.key_id,
        old.kek_id,
        new.kek_id,
        new.wrapped,
    )


async def to_reencrypt(db: Db, limit: int) -> list[UUID]:
    """Connections whose credential is sealed by a retiring key."""
    rows = await db.fetch(
        """SELECT k.connection_id FROM data_key d JOIN credential k USING (key_id)
           WHERE d.state = 'retiring' ORDER BY k.connection_id LIMIT $1""",
        limit,
    )
    return [row["connection_id"] for row in rows]


async def left_to_reencrypt(db: Db) -> int:
    found: int = await db.fetchval(
        "SELECT count(*) FROM data_key d JOIN credential k USING (key_id) WHERE d.state = 'retiring'"
    )
    return found


async def lock_credentials(db: Db, connection_ids: Sequence[UUID]) -> None:
    """In the order of every other writer: the connection first, then its credential."""
    await db.execute(
        "SELECT 1 FROM connection WHERE connection_id = ANY($1) ORDER BY connection_id FOR UPDATE",
        list(connection_ids),
    )


async def retire(db: Db, before: datetime) -> tuple[int, int]:
    """Delete retiring keys that seal nothing and were replaced before then: (deleted, refused because in use)."""
    status = await db.execute(
        """DELETE FROM data_key d WHERE d.state = 'retiring'
             AND NOT EXISTS (SELECT 1 FROM credential k WHERE k.key_id = d.key_id)
             AND NOT EXISTS (SELECT 1 FROM refresh_attempt r WHERE r.key_id = d.key_id)
             AND EXISTS (SELECT 1 FROM data_key a WHERE a.workspace_id = d.workspace_id AND a.state = 'active'
                           AND a.created_at < $1)""",
        before,
    )
    kept: int = await db.fetchval("SELECT count(*) FROM data_key WHERE state = 'retiring'")
    return int(status.split()[-1]), kept
