"""What we read of Telegram's updates (Bot API, `Update`). Everything else in them is left alone."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from common.text import clean
from notifier.channels.telegram.rules import Incoming

WANTED = ("message", "callback_query", "my_chat_member")
"""Named in full: `my_chat_member` (blocked, unblocked) is lost where this list leaves it out."""

_GONE = frozenset({"kicked", "left"})


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Chat(_Part):
    id: int
    type: str
    title: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class _Message(_Part):
    message_id: int
    chat: _Chat
    text: str | None = None


class _CallbackQuery(_Part):
    id: str
    data: str | None = None
    message: _Message | None = None


class _Member(_Part):
    status: str


class _MemberUpdated(_Part):
    chat: _Chat
    new_chat_member: _Member


class _Update(_Part):
    update_id: int
    message: _Message | None = None
    callback_query: _CallbackQuery | None = None
    my_chat_member: _MemberUpdated | None = None


def parse(raw: bytes) -> Incoming:
    """Return an update as a webhook brings it. Raises ValueError for anything else."""
    try:
        return _incoming(_Update.model_validate_json(raw))
    except ValidationError:
        raise ValueError("not an update of the Bot API") from None


def read(document: Any) -> Incoming:
    """Read one update of a list. One that is not as documented is skipped by its id, so that the rest goes on.

    Raises:
        ValueError: it has no id either.

    """
    try:
        return _incoming(_Update.model_validate(document))
    except ValidationError:
        number = document.get("update_id") if isinstance(document, dict) else None
        if isinstance(number, int):
            return Incoming(number)
        raise ValueError("not an update of the Bot API") from None


def _incoming(update: _Update) -> Incoming:
    query, member = update.callback_query, update.my_chat_member
    if member is not None:
        return Incoming(update.update_id, chat_id=member.chat.id, gone=member.new_chat_member.status in _GONE)
    message = query.message if query is not None else update.message
    if message is None:
        return Incoming(update.update_id)
    chat = message.chat
    return Incoming(
        update.update_id,
        chat_id=chat.id,
        chat_name=_name(chat),
        private=chat.type == "private",
        text=(message.text or "") if query is None else "",
        callback_id=query.id if query is not None else None,
        data=(query.data or "") if query is not None else "",
        message_id=message.message_id,
    )


def _name(chat: _Chat) -> str:
    if chat.username:
        return clean(f"@{chat.username}")
    return clean(" ".join(filter(None, (chat.first_name, chat.last_name))) or chat.title or "")
