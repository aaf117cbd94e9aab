"""The Bot API through aiogram. The only importer of that library: it takes seconds and a hundred megabytes to load.

The bot's token is in every URL, so no error text of a call is ever passed on.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteWebhook,
    EditMessageText,
    GetMe,
    GetUpdates,
    SendMessage,
    SetWebhook,
    TelegramMethod,
)
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message, Update
from aiohttp import ClientConnectorError
from pydantic import SecretStr, ValidationError

from common.runtime.errors import Permanent, Retryable
from common.telemetry import logs
from notifier.channels.base import Parcel
from notifier.core.delivery import Answer, Outcome
from notifier.core.telegram import Button, Incoming

_log = logs.get_logger("channels.bot_api")

TIMEOUT_S: Final = 15
POLL_S: Final = 20
UPDATES: Final = ("message", "callback_query", "my_chat_member")
"""Named in full: `my_chat_member` (blocked, unblocked) is lost where this list leaves it out."""

_GONE: Final = ("chat not found", "user is deactivated", "bot was kicked", "group chat was deleted", "peer_id_invalid")
_GONE_STATES: Final = frozenset({"kicked", "left"})
_UNCHANGED: Final = "message is not modified"
_LONGEST: Final = 4_096

T = TypeVar("T")


class BotApi:
    """One bot."""

    def __init__(self, token: SecretStr, api_url: str) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(api_url), timeout=TIMEOUT_S)
        self._bot = Bot(token.get_secret_value(), session, default=DefaultBotProperties(parse_mode="HTML"))

    async def username(self) -> str:
        """The bot's name. Raises as `updates` does."""
        return (await self._ask(GetMe())).username or ""

    async def send(self, parcel: Parcel) -> Outcome:
        """Send a message, or edit an earlier one. See `Channel.send`."""
        chat_id = int(parcel.address)
        try:
            if parcel.edits:
                await self._bot(_edit(chat_id, int(parcel.edits), parcel.html))
                return Outcome(Answer.ACCEPTED, reference=parcel.edits)
            sent = await self._bot(_message(chat_id, parcel.html, ()))
        except AiogramError as error:
            return self._read(error)
        return Outcome(Answer.ACCEPTED, reference=str(sent.message_id))

    async def say(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> None:
        """Answer somebody in a chat. An answer that cannot be given is only noted: they will ask again."""
        await self._quietly(_message(chat_id, text, buttons))

    async def replace(self, chat_id: int, message_id: int, text: str) -> None:
        """Put the outcome in the place of our question; its buttons go."""
        await self._quietly(_edit(chat_id, message_id, text))

    async def acknowledge(self, callback_id: str) -> None:
        """Stop the progress circle on a pressed button."""
        await self._quietly(AnswerCallbackQuery(callback_query_id=callback_id))

    async def updates(self, offset: int | None) -> list[Incoming]:
        """Wait for updates after `offset` (long poll). Asking for an offset forgets everything before it.

        Raises:
            Retryable: Telegram does not answer, or another reader is at work.
            Permanent: it does not take the bot's token.

        """
        method = GetUpdates(offset=offset, timeout=POLL_S, allowed_updates=list(UPDATES))
        return [_incoming(update) for update in await self._ask(method, timeout_s=POLL_S + TIMEOUT_S)]

    async def use_webhook(self, url: str, secret: SecretStr) -> None:
        """Have updates posted to `url`. Raises as `updates` does."""
        await self._ask(SetWebhook(url=url, secret_token=secret.get_secret_value(), allowed_updates=list(UPDATES)))

    async def use_polling(self) -> None:
        """End a webhook, which would make polling impossible. Raises as `updates` does."""
        await self._ask(DeleteWebhook())

    async def close(self) -> None:
        """Close the connections."""
        await self._bot.session.close()

    async def _ask(self, method: TelegramMethod[T], timeout_s: int = TIMEOUT_S) -> T:
        try:
            async with asyncio.timeout(timeout_s + 1):
                return await self._bot(method, request_timeout=timeout_s)
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise Permanent("Telegram does not take the token of WEVION_TELEGRAM_BOT_TOKEN") from None
        except TelegramAPIError as error:
            raise Retryable(f"Telegram: {method.__api_method__}: {type(error).__name__}") from None
        except (AiogramError, TimeoutError):
            raise Retryable(f"Telegram: {method.__api_method__}: no usable answer") from None

    async def _quietly(self, method: TelegramMethod[T]) -> None:
        try:
            await self._ask(method)
        except (Retryable, Permanent) as error:
            _log.warning("chat_not_answered", method=method.__api_method__, error=str(error))

    def _read(self, error: AiogramError) -> Outcome:  # noqa: PLR0911  a table: one answer per signal
        detail = type(error).__name__
        match error:
            case TelegramRetryAfter():
                return Outcome(Answer.TRY_LATER, retry_after_s=float(error.retry_after), detail=detail)
            case TelegramMigrateToChat():
                return Outcome(
                    Answer.TRY_LATER, retry_after_s=0, new_address=str(error.migrate_to_chat_id), detail=detail
                )
            case TelegramForbiddenError():
                return Outcome(Answer.ADDRESS_DEAD, detail=detail)
            case TelegramUnauthorizedError() | TelegramNotFound():
                _log.error("bot_token_refused", error=detail)
                return Outcome(Answer.CHANNEL_DOWN, detail=detail)
            case TelegramBadRequest():
                return _read_bad_request(error.message.lower(), detail)
            case TelegramServerError():
                return Outcome(Answer.TRY_LATER, detail=detail)
            case TelegramNetworkError() if isinstance(error.__cause__, ClientConnectorError):
                return Outcome(Answer.CHANNEL_DOWN, detail="not_connected")  # the message cannot have left
            case _:
                return Outcome(Answer.UNKNOWN, detail=detail)


def _read_bad_request(said: str, detail: str) -> Outcome:
    if _UNCHANGED in said:
        return Outcome(Answer.ACCEPTED)
    if any(words in said for words in _GONE):
        return Outcome(Answer.ADDRESS_DEAD, detail=detail)
    return Outcome(Answer.MESSAGE_REFUSED, detail=detail)


def _message(chat_id: int, text: str, buttons: Sequence[Button]) -> SendMessage:
    keyboard = [[InlineKeyboardButton(text=button.label, callback_data=button.data)] for button in buttons]
    return SendMessage(
        chat_id=chat_id,
        text=text[:_LONGEST],
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_markup=InlineKeyboardMarkup(inline_keyboard=keyboard) if keyboard else None,
    )


def _edit(chat_id: int, message_id: int, text: str) -> EditMessageText:
    return EditMessageText(
        chat_id=chat_id,
        message_id=message_id,
        text=text[:_LONGEST],
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )


def parse(raw: bytes) -> Incoming:
    """An update as a webhook brings it. Raises ValueError for anything else."""
    try:
        return _incoming(Update.model_validate_json(raw))
    except ValidationError:
        raise ValueError("not an update of the Bot API") from None


def _incoming(update: Update) -> Incoming:
    query, member = update.callback_query, update.my_chat_member
    if member is not None:
        gone = member.new_chat_member.status in _GONE_STATES
        return Incoming(update.update_id, chat_id=member.chat.id, gone=gone)
    pressed = query.message if query is not None else None
    message = pressed if isinstance(pressed, Message) else update.message
    if message is None:
        return Incoming(update.update_id)
    chat = message.chat
    full_name = " ".join(filter(None, (chat.first_name, chat.last_name)))
    return Incoming(
        update.update_id,
        chat_id=chat.id,
        chat_name=f"@{chat.username}" if chat.username else full_name or chat.title or "",
        private=chat.type == "private",
        text=message.text or "" if query is None else "",
        callback_id=query.id if query is not None else None,
        data=query.data or "" if query is not None else "",
        message_id=message.message_id,
    )
