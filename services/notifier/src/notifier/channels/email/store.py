"""Addresses that a mail server refused for good. Only their digests: a new address of the same person works again."""

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from common import addresses
from common.contracts import NoticeChannel
from common.postgres import Connection

_CHANNEL = NoticeChannel.EMAIL.value


def digest(address: str) -> bytes:
    """What is kept of an address."""
    return sha256(addresses.key(address).encode(errors="replace")).digest()


async def dead_digests(connection: Connection, user_ids: Collection[UUID]) -> frozenset[tuple[UUID, bytes]]:
    rows = await connection.fetch(
        "SELECT user_id, digest FROM dead_address WHERE channel = $1 AND user_id = ANY($2::uuid[])",
        _CHANNEL,
        list(user_ids),
    )
    return frozenset((row["user_id"], row["digest"]) for row in rows)


async def bury_address(connection: Connection, user_id: UUID, address: str, now: datetime) -> None:
    await connection.execute(
        "INSERT INTO dead_address (user_id, channel, digest, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        user_id,
        _CHANNEL,
        digest(address),
        now,
    )
