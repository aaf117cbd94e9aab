"""Telegram by the Bot API (aiogram). The bot's token is in every URL, so no error text of a call is ever passed on."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
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
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Update
from aiohttp import ClientConnectorError
from pydantic import SecretStr

from common.contracts import NoticeChannel
from common.runtime.errors import Permanent, Retryable
from common.telemetry import logs
from notifier.channels.base import Parcel
from notifier.channels.throttle import Throttle
from notifier.core.delivery import Answer, Outcome

_log = logs.get_logger("channels.telegram")

TIMEOUT_S: Final = 15
POLL_S: Final = 20
UPDATES: Final = ("message", "callback_query", "my_chat_member")
"""Named in full: `my_chat_member` (blocked, unblocked) is lost where this list leaves it out."""

_GONE: Final = ("chat not found", "user is deactivated", "bot was kicked", "group chat was deleted", "peer_id_invalid")
_UNCHANGED: Final = "message is not modified"
_LONGEST: Final = 4_096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message."""

    label: str
    data: str


class TelegramChannel:
    """One bot."""

    name = NoticeChannel.TELEGRAM
    repeat_is_recognised = False

    def __init__(self, token: SecretStr, *, api_url: str, throttle: Throttle) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(api_url), timeout=TIMEOUT_S)
        self._bot = Bot(token.get_secret_value(), session, default=DefaultBotProperties(parse_mode="HTML"))
        self._throttle = throttle
        self._username: str | None = None

    async def username(self) -> str:
        """The bot's name, for deep links; asked once.

        Raises:
            Retryable: Telegram does not answer.
            Permanent: it does not take the bot's token.

        """
        if self._username is None:
            me = await self._ask(GetMe())
            self._username = me.username or ""
        return self._username

    async def send(self, parcel: Parcel) -> Outcome:
        """Send a message, or edit an earlier one. See `Channel.send`."""
        chat_id = int(parcel.address)
        await self._throttle.wait()
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

    async def updates(self, offset: int | None) -> list[Update]:
        """Wait for updates after `offset` (long poll). Asking for an offset forgets everything before it.

        Raises:
            Retryable: Telegram does not answer, or another reader is at work.
            Permanent: it does not take the bot's token.

        """
        method = GetUpdates(offset=offset, timeout=POLL_S, allowed_updates=list(UPDATES))
        return await self._ask(method, timeout_s=POLL_S + TIMEOUT_S)

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
