"""Updates from Telegram: each is taken once, changes what it changes in one transaction, and is then answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, Update

from common.contracts import DetectedBy
from common.postgres import Connection, transaction
from notifier.channels.telegram import Button, TelegramChannel
from notifier.core import telegram as rules
from notifier.core.telegram import Answer
from notifier.operations import telegram as operations
from notifier.operations.deps import Deps
from notifier.operations.telegram import Opened, Said
from notifier.store import telegram

_GONE: Final = frozenset({"kicked", "left"})


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the chat gets once the change is committed."""

    chat_id: int
    said: Said
    callback_id: str | None = None
    edits: int | None = None


async def take_update(deps: Deps, bot: TelegramChannel, update: Update, now: datetime) -> None:
    """Apply one update. A repeat changes nothing and is not answered.

    Raises:
        Retryable: the database is away; Telegram (or the poller) brings the update again.

    """
    async with transaction(deps.pool) as connection:
        if not await telegram.first_time(connection, update.update_id):
            return
        reply = await _apply(connection, deps, update, now)
    deps.committed()
    if reply is not None:
        operations.count(reply.said)
        await _answer(deps, bot, reply)


async def _apply(connection: Connection, deps: Deps, update: Update, now: datetime) -> _Reply | None:
    if update.message is not None:
        return await _message(connection, update.message, now)
    if update.callback_query is not None:
        return await _pressed(connection, deps, update.callback_query, now)
    if update.my_chat_member is not None:
        await _member(connection, update.my_chat_member, now)
    return None


async def _message(connection: Connection, message: Message, now: datetime) -> _Reply | None:
    text, chat = message.text or "", message.chat.id
    opened = _opened(message)
    code = rules.start_code(text)
    if code:
        return _Reply(chat, await operations.open_code(connection, code, opened, now))
    if not opened.private:
        return None  # in a group only a link that was opened there is our business
    if rules.command(text) == "unlink":
        return _Reply(chat, await operations.leave(connection, chat, now))
    return _Reply(chat, Said(Answer.WELCOME if code is not None else Answer.HELP))


async def _pressed(connection: Connection, deps: Deps, query: CallbackQuery, now: datetime) -> _Reply | None:
    found = rules.pressed(query.data or "")
    message = query.message if isinstance(query.message, Message) else None
    if found is None or message is None:
        return None
    said = await operations.press(connection, deps, found, _opened(message), now)
    return _Reply(message.chat.id, said, query.id, message.message_id)


async def _member(connection: Connection, changed: ChatMemberUpdated, now: datetime) -> None:
    if changed.new_chat_member.status in _GONE:
        await operations.breaks(connection, changed.chat.id, DetectedBy.WEBHOOK, now)


def _opened(message: Message) -> Opened:
    chat = message.chat
    name = f"@{chat.username}" if chat.username else " ".join(filter(None, (chat.first_name, chat.last_name)))
    return Opened(chat.id, name or chat.title or "", chat.type == "private")


async def _answer(deps: Deps, bot: TelegramChannel, reply: _Reply) -> None:
    said = reply.said
    text = deps.texts.say(said.answer.value, account=said.account, name=said.name)
    buttons: tuple[Button, ...] = ()
    if said.token_id is not None:
        buttons = (
            Button("Yes, link this chat", rules.button("link", said.token_id)),
            Button("No, that is not me", rules.button("refuse", said.token_id)),
        )
    if reply.callback_id is not None:
        await bot.acknowledge(reply.callback_id)
    if reply.edits is not None:
        await bot.replace(reply.chat_id, reply.edits, text)
    else:
        await bot.say(reply.chat_id, text, buttons)
