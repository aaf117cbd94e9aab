"""Telegram: one-time codes (their digests), links to chats, updates that were seen, and who reads them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import Db, Record
from notifier.channels.telegram.rules import Code, CodeState, Link, LinkState

_CODE = "token_id, user_id, workspace_id, version, state, chat_id, expires_at"
_LINK = "token_id, user_id, workspace_id, chat_id, chat_name, version, state, linked_at, ended_at"


@dataclass(frozen=True, slots=True)
class CodeOrigin:
    """How a code was made: its digest, its sealed form (None without keys), and the session that asked for it."""

    digest: bytes
    sealed: bytes | None
    session_id: UUID | None
    epoch: int


async def lock_person(db: Db, user_id: UUID) -> None:
    """One change of a person's codes and links at a time, until the transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('telegram ' || $1, 0))", str(user_id))


async def add_code(db: Db, code: Code, made: CodeOrigin, now: datetime) -> None:
    """Store a new code.

    Args:
        db: the connection or the transaction to use.
        code: the code.
        made: who made it, and in which session.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO telegram_code (token_id, digest, user_id, workspace_id, version, state, created_at, expires_at,
                                      session_id, epoch, sealed)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        code.token_id,
        made.digest,
        code.user_id,
        code.workspace_id,
        code.version,
        code.state.value,
        now,
        code.expires_at,
        made.session_id,
        made.epoch,
        made.sealed,
    )


async def code_by_digest(db: Db, digest: bytes) -> Code | None:
    row = await db.fetchrow(f"SELECT {_CODE} FROM telegram_code WHERE digest = $1", digest)
    return None if row is None else _code(row)


async def code(db: Db, token_id: UUID) -> Code | None:
    row = await db.fetchrow(f"SELECT {_CODE} FROM telegram_code WHERE token_id = $1", token_id)
    return None if row is None else _code(row)


async def waiting_code(db: Db, user_id: UUID) -> Code | None:
    row = await db.fetchrow(f"SELECT {_CODE} FROM telegram_code WHERE user_id = $1 AND state = 'waiting'", user_id)
    return None if row is None else _code(row)


async def sealed_code(db: Db, token_id: UUID) -> bytes | None:
    found: bytes | None = await db.fetchval(
        "SELECT sealed FROM telegram_code WHERE token_id = $1 AND state = 'waiting'", token_id
    )
    return found


async def made_since(db: Db, user_id: UUID, since: datetime) -> list[datetime]:
    """Return when the codes of a person were made, the oldest first."""
    rows = await db.fetch(
        "SELECT created_at FROM telegram_code WHERE user_id = $1 AND created_at > $2 ORDER BY created_at",
        user_id,
        since,
    )
    return [row["created_at"] for row in rows]


async def codes_to_end(db: Db, *, session_id: UUID | None, user_id: UUID, below_epoch: int) -> list[Code]:
    """Return the waiting codes that a session made, and those of a person from before all of their sessions ended.

    Args:
        db: the connection or the transaction to use.
        session_id: the session that is over; None for none.
        user_id: the person whose sessions all ended; None for nobody.
        below_epoch: the epoch of the person's newer sessions.

    """
    rows = await db.fetch(
        f"""SELECT {_CODE} FROM telegram_code
             WHERE state = 'waiting' AND (session_id = $1 OR (user_id = $2 AND epoch < $3)) FOR UPDATE""",
        session_id,
        user_id,
        below_epoch,
    )
    return [_code(row) for row in rows]


async def expired_codes(db: Db, now: datetime, limit: int) -> list[Code]:
    rows = await db.fetch(
        f"""SELECT {_CODE} FROM telegram_code WHERE state = 'waiting' AND expires_at <= $1
             ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED""",
        now,
        limit,
    )
    return [_code(row) for row in rows]


async def set_code(db: Db, token_id: UUID, state: CodeState, version: int) -> None:
    """Store a code's new state.

    Args:
        db: the connection or the transaction to use.
        token_id: the token.
        state: the new state.
        version: the new version.

    """
    await db.execute(
        "UPDATE telegram_code SET state = $2, version = $3, sealed = NULL WHERE token_id = $1",
        token_id,
        state.value,
        version,
    )


async def bind_code(db: Db, token_id: UUID, chat_id: int) -> None:
    """The chat that opened the code first; nobody else can confirm it."""
    await db.execute("UPDATE telegram_code SET chat_id = $2 WHERE token_id = $1 AND chat_id IS NULL", token_id, chat_id)


async def add_link(db: Db, link: Link) -> None:
    await db.execute(
        """INSERT INTO telegram_link (token_id, user_id, workspace_id, chat_id, chat_name, version, state, linked_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        link.token_id,
        link.user_id,
        link.workspace_id,
        link.chat_id,
        link.chat_name,
        link.version,
        link.state.value,
        link.linked_at,
    )


async def link_of(db: Db, user_id: UUID) -> Link | None:
    """Return the person's living link, or else the last one that ended."""
    row = await db.fetchrow(
        f"""SELECT {_LINK} FROM telegram_link WHERE user_id = $1
             ORDER BY (state = 'linked') DESC, linked_at DESC, token_id DESC LIMIT 1""",
        user_id,
    )
    return None if row is None else _link(row)


async def links_of_chat(db: Db, chat_id: int) -> list[Link]:
    rows = await db.fetch(
        f"SELECT {_LINK} FROM telegram_link WHERE chat_id = $1 AND state = 'linked' ORDER BY token_id FOR UPDATE",
        chat_id,
    )
    return [_link(row) for row in rows]


async def end_link(db: Db, token_id: UUID, state: LinkState, version: int, now: datetime) -> bool:
    """Store that a link is over; False when it was already.

    Args:
        db: the connection or the transaction to use.
        token_id: the token.
        state: the new state.
        version: the new version.
        now: the present time, in UTC.

    """
    status = await db.execute(
        "UPDATE telegram_link SET state = $2, version = $3, ended_at = $4 WHERE token_id = $1 AND state = 'linked'",
        token_id,
        state.value,
        version,
        now,
    )
    return status == "UPDATE 1"


async def forget_broken(db: Db, user_id: UUID) -> None:
    """The person knows that the link is broken, and does not want it back."""
    await db.execute("UPDATE telegram_link SET state = 'unlinked' WHERE user_id = $1 AND state = 'broken'", user_id)


async def chats(db: Db, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the linked chat of each of these people who has one."""
    rows = await db.fetch(
        "SELECT user_id, chat_id FROM telegram_link WHERE state = 'linked' AND user_id = ANY($1::uuid[])",
        list(user_ids),
    )
    return {row["user_id"]: row["chat_id"] for row in rows}


async def move_chat(db: Db, old: int, new: int) -> None:
    """A group became a supergroup and has a new id."""
    await db.execute("UPDATE telegram_link SET chat_id = $2 WHERE chat_id = $1", old, new)


async def first_time(db: Db, update_id: int) -> bool:
    """True the first time an update is seen; Telegram repeats what it believes lost."""
    status = await db.execute("INSERT INTO telegram_update (update_id) VALUES ($1) ON CONFLICT DO NOTHING", update_id)
    return status == "INSERT 0 1"


async def forget_updates(db: Db, keep: timedelta) -> None:
    """Telegram keeps undelivered updates for a day; what is older cannot come again."""
    await db.execute("DELETE FROM telegram_update WHERE received_at < now() - $1::interval", keep)


async def take_poller(db: Db, owner: UUID, lease: timedelta) -> int | None:
    """Become, or stay, the one reader of updates; the epoch, or None while another one is."""
    epoch: int | None = await db.fetchval(
        """UPDATE telegram_poller SET owner = $1, expires_at = now() + $2::interval,
                  epoch = epoch + (CASE WHEN owner = $1 THEN 0 ELSE 1 END)
            WHERE owner = $1 OR expires_at < now() RETURNING epoch""",
        owner,
        lease,
    )
    return epoch


async def leave_poller(db: Db, owner: UUID) -> None:
    await db.execute("UPDATE telegram_poller SET expires_at = '-infinity' WHERE owner = $1", owner)


def _code(row: Record) -> Code:
    return Code(
        token_id=row["token_id"],
        user_id=row["user_id"],
        workspace_id=row["workspace_id"],
        version=row["version"],
        state=CodeState(row["state"]),
        chat_id=row["chat_id"],
        expires_at=row["expires_at"],
    )


def _link(row: Record) -> Link:
    return Link(
        token_id=row["token_id"],
        user_id=row["user_id"],
        workspace_id=row["workspace_id"],
        chat_id=row["chat_id"],
        chat_name=row["chat_name"],
        version=row["version"],
        state=LinkState(row["state"]),
        linked_at=row["linked_at"],
        ended_at=row["ended_at"],
    )
