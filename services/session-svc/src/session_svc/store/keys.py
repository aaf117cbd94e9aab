"""Signing keys. Private keys come and go sealed."""

from dataclasses import dataclass
from datetime import datetime

from common.postgres import Db, Pool
from session_svc.core.keys import KeyTimes


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it lies in the database."""

    times: KeyTimes
    public_key: bytes
    sealed_key: bytes


async def lock(db: Db) -> None:
    """One rotation at a time; readers go on."""
    await db.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")


async def not_gone(db: Db | Pool, gone_before: datetime) -> tuple[StoredKey, ...]:
    """Return the keys that stopped signing after `gone_before`, or have not stopped; oldest first."""
    rows = await db.fetch(
        """SELECT kid, created_at, signs_from, signs_until, public_key, sealed_key FROM signing_keys
           WHERE signs_until IS NULL OR signs_until > $1 ORDER BY signs_from""",
        gone_before,
    )
    return tuple(
        StoredKey(
            KeyTimes(row["kid"], row["created_at"], row["signs_from"], row["signs_until"]),
            row["public_key"],
            row["sealed_key"],
        )
        for row in rows
    )


async def add(db: Db, new: StoredKey, *, replaces: str | None) -> None:
    """A new key, and the end of the one that it replaces."""
    if replaces is not None:
        await db.execute("UPDATE signing_keys SET signs_until = $2 WHERE kid = $1", replaces, new.times.signs_from)
    await db.execute(
        """INSERT INTO signing_keys (kid, public_key, sealed_key, created_at, signs_from, signs_until)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        new.times.kid,
        new.public_key,
        new.sealed_key,
        new.times.created_at,
        new.times.signs_from,
        new.times.signs_until,
    )


async def delete_gone(db: Db, gone_before: datetime) -> int:
    """Forget keys that nothing can be verified with any more."""
    status = await db.execute("DELETE FROM signing_keys WHERE signs_until < $1", gone_before)
    return int(status.split()[-1])


async def reseal(db: Db, kid: str, sealed_key: bytes) -> None:
    """The same private key under a newer key-encryption key."""
    await db.execute("UPDATE signing_keys SET sealed_key = $2 WHERE kid = $1", kid, sealed_key)
