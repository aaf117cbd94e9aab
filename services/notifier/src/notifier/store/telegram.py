"""Telegram: one-time codes (their digests), links to chats, and updates that were seen."""

from collections.abc import Collection
from uuid import UUID

from common.postgres import Connection


async def chats(connection: Connection, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """The linked chat of each of these people who has one."""
    rows = await connection.fetch(
        "SELECT user_id, chat_id FROM telegram_link WHERE state = 'linked' AND user_id = ANY($1::uuid[])",
        list(user_ids),
    )
    return {row["user_id"]: row["chat_id"] for row in rows}


async def move_chat(connection: Connection, old: int, new: int) -> None:
    """A group became a supergroup and has a new id."""
    await connection.execute("UPDATE telegram_link SET chat_id = $2 WHERE chat_id = $1", old, new)
