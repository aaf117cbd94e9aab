"""Addresses that a mail server refused. Only their digests: a new address of the same person works again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from common import addresses
from common.contracts import NoticeChannel
from common.postgres import Db

LAPSES_AFTER = timedelta(days=14)
"""A refusal is believed for so long. Mailboxes come back (a domain that had lapsed, an account that was restored)."""
_CHANNEL = NoticeChannel.EMAIL.value


def digest(address: str) -> bytes:
    """Return what is kept of an address."""
    return sha256(addresses.key(address).encode(errors="replace")).digest()


@dataclass(frozen=True, slots=True)
class Refusal:
    """That a server said the address does not exist, and until when it is believed."""

    since: datetime
    until: datetime
    reply: str


async def dead_digests(db: Db, user_ids: Collection[UUID], now: datetime) -> frozenset[tuple[UUID, bytes]]:
    rows = await db.fetch(
        "SELECT user_id, digest FROM dead_address WHERE channel = $1 AND user_id = ANY($2::uuid[]) AND since > $3",
        _CHANNEL,
        list(user_ids),
        now - LAPSES_AFTER,
    )
    return frozenset((row["user_id"], row["digest"]) for row in rows)


async def bury_address(db: Db, user_id: UUID, address: str, *, reply: str, now: datetime) -> None:
    """Remember that a mail server refused this address for good.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        address: the mail address.
        reply: what the server answered, without the address.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO dead_address (user_id, channel, digest, since, reply) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (user_id, channel, digest) DO UPDATE SET since = $4, reply = $5""",
        user_id,
        _CHANNEL,
        digest(address),
        now,
        reply,
    )


async def refusal(db: Db, user_id: UUID, address: str, now: datetime) -> Refusal | None:
    """Return what a server answered when it refused this address for good; None where none did, or it has lapsed.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        address: the mail address.
        now: the present time, in UTC.

    """
    row = await db.fetchrow(
        "SELECT since, reply FROM dead_address WHERE channel = $1 AND user_id = $2 AND digest = $3 AND since > $4",
        _CHANNEL,
        user_id,
        digest(address),
        now - LAPSES_AFTER,
    )
    return None if row is None else Refusal(row["since"], row["since"] + LAPSES_AFTER, row["reply"])


async def forgive(db: Db, user_id: UUID) -> None:
    """Forget what servers said of a person's addresses: the next mail is tried."""
    await db.execute("DELETE FROM dead_address WHERE channel = $1 AND user_id = $2", _CHANNEL, user_id)
