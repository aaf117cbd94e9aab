"""Telegram: messages to linked chats, answers to people who talk to the bot, and what they say."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import aiohttp
from pydantic import SecretStr

from common.contracts import DetectedBy, NoticeChannel
from common.postgres import Db
from common.runtime.clock import monotonic
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.retry import Backoff
from common.telemetry.logs import get_logger
from notifier.channels.telegram import ending, store
from notifier.channels.telegram import updates as telegram_updates
from notifier.channels.telegram.bot_api import TIMEOUT_S, BotApi, BotApiAwayError, RefusedError
from notifier.channels.telegram.rules import BusyChats, Button, Incoming
from notifier.channels.throttle import Throttle
from notifier.core.channels import ChannelLimits, ChannelReach
from notifier.core.deliveries import Claimed
from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.rendering import Texts
from notifier.core.routing import Person
from notifier.operations.channel import Message, Parcel

_log = get_logger(__name__)

POLL_S = 20
_GONE = ("chat not found", "user is deactivated", "bot was kicked", "group chat was deleted", "peer_id_invalid")
_UNCHANGED = "message is not modified"
_NOT_EDITABLE = ("message to edit not found", "message can't be edited", "message_id_invalid")
"""The reader cleared the chat, or the message is too old (tdlib's texts, read 2026-12)."""
_SERVER_ERROR = 500
_OUR_TOKEN = frozenset({401, 404})
"""For a malformed token sources disagree on the status: both mean that ours is not taken."""


class MethodBusyError(RetryableError):
    """Telegram refuses a method for now. `retry_after_s`: how long it wants to be left alone, when it says so."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatParcel(Parcel):
    """One message to a chat, in Telegram's HTML subset."""

    html: str = field(default="", repr=False)


class TelegramChannel:
    """One bot. `http` belongs to the caller."""

    name: ClassVar = NoticeChannel.TELEGRAM
    audience: ClassVar = ChannelReach.PERSON
    limits: ClassVar = ChannelLimits(edits=True)

    def __init__(
        self,
        http: aiohttp.ClientSession,
        token: SecretStr,
        *,
        api_url: str,
        texts: Texts,
        throttle: Throttle,
        retry: Backoff = Backoff(base_s=5, cap_s=900),  # noqa: B008  frozen
    ) -> None:
        self.retry = retry
        self._api = BotApi(http, token, api_url)
        self._texts = texts
        self._throttle = throttle
        self._username = ""
        self._busy = BusyChats()

    async def username(self) -> str:
        """Return the bot's name, for deep links; asked once. Raises as `updates` does."""
        if not self._username:
            me = await self._ask("getMe")
            self._username = str(me.get("username", "")) if isinstance(me, dict) else ""
        return self._username

    async def addresses(self, db: Db, readers: Sequence[Person]) -> Mapping[UUID, str]:
        """Return the chat of each reader who linked one."""
        chats = await store.chats(db, [person.user_id for person in readers])
        return {user_id: str(chat_id) for user_id, chat_id in chats.items()}

    async def compose(self, messages: Sequence[Message], now: datetime) -> Sequence[ChatParcel]:  # noqa: ARG002
        """Return one chat message for each. What reads the same for several people is rendered once."""
        rendered: dict[Hashable, str] = {}
        for message in messages:
            if message.same not in rendered:
                rendered[message.same] = self._texts.chat([said.words for said in message.said])
        return [
            ChatParcel(
                delivery_id=message.claimed.delivery_id,
                address=message.address,
                edits=message.edits,
                html=rendered[message.same],
            )
            for message in messages
        ]

    async def send(self, parcel: ChatParcel) -> Outcome:
        """Send a message. See `Channel.send`."""
        return await self._present("sendMessage", _message(int(parcel.address), parcel.html, ()), parcel)

    async def edit(self, parcel: ChatParcel) -> Outcome:
        """Edit an earlier message. See `Channel.edit`."""
        given = _edit(int(parcel.address), int(parcel.edits), parcel.html)
        return await self._present("editMessageText", given, parcel)

    async def learn(
        self,
        db: Db,
        claimed: Claimed,  # noqa: ARG002  see `Channel.learn`
        parcel: ChatParcel,
        outcome: Outcome,
        now: datetime,  # noqa: ARG002
    ) -> None:
        """Follow a chat that has a new id.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        if outcome.new_address:
            await store.move_chat(db, int(parcel.address), int(outcome.new_address))

    async def bury(
        self,
        db: Db,
        claimed: Claimed,  # noqa: ARG002  see `Channel.bury`
        parcel: ChatParcel,
        outcome: Outcome,  # noqa: ARG002
        now: datetime,
    ) -> None:
        """End the links of a chat that is gone; the events of that tell its person in the app.

        Args:
            db: the transaction that settles the deliveries.
            claimed: the deliveries, with their leases.
            parcel: the message that was sent.
            outcome: what the channel's other end answered.
            now: the present time, in UTC.

        """
        await ending.breaks(db, int(parcel.address), DetectedBy.PROBE, now)

    async def _present(self, method: str, given: dict[str, Any], parcel: ChatParcel) -> Outcome:
        await self._throttle.wait()
        try:
            sent = await self._api.call(method, given)
        except RefusedError as error:
            return self._read(error, parcel)
        except BotApiAwayError as error:
            return Outcome(SendOutcome.UNKNOWN if error.may_be_done else SendOutcome.CHANNEL_DOWN, detail=error.kind)
        return Outcome(
            SendOutcome.ACCEPTED, reference=str(sent.get("message_id", "")) if isinstance(sent, dict) else ""
        )

    async def say(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> None:
        """Answer somebody in a chat. An answer that cannot be given is only noted: they will ask again."""
        await self._quietly("sendMessage", _message(chat_id, text, buttons))

    async def replace(self, chat_id: int, message_id: int, text: str) -> None:
        """Put the outcome in the place of our question; its buttons go."""
        await self._quietly("editMessageText", _edit(chat_id, message_id, text))

    async def acknowledge(self, callback_id: str) -> None:
        """Stop the progress circle on a pressed button."""
        await self._quietly("answerCallbackQuery", {"callback_query_id": callback_id})

    async def updates(self, offset: int | None) -> list[Incoming]:
        """Wait for updates after `offset` (long poll). Asking for an offset forgets everything before it.

        Raises:
            RetryableError: Telegram does not answer, or another reader is at work.
            PermanentError: it does not take the bot's token.

        """
        given: dict[str, Any] = {"timeout": POLL_S, "allowed_updates": telegram_updates.WANTED}
        if offset is not None:
            given["offset"] = offset
        found = await self._ask("getUpdates", given, timeout_s=POLL_S + TIMEOUT_S)
        try:
            return [telegram_updates.read(document) for document in found]
        except (ValueError, TypeError):
            raise RetryableError("Telegram: getUpdates: no usable answer") from None

    def parse(self, raw: bytes) -> Incoming:
        """Return an update as a webhook brings it. Raises ValueError for anything else."""
        return telegram_updates.parse(raw)

    async def use_webhook(self, url: str, secret: SecretStr) -> None:
        """Have updates posted to `url`. Raises as `updates` does."""
        given = {
            "url": url,
            "secret_token": secret.get_secret_value(),
            "allowed_updates": telegram_updates.WANTED,
        }
        await self._ask("setWebhook", given)

    async def use_polling(self) -> None:
        """End a webhook, which would make polling impossible. Raises as `updates` does."""
        await self._ask("deleteWebhook")

    async def close(self) -> None:
        """Nothing is held: the connections are the session's."""

    async def _ask(self, method: str, given: dict[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        try:
            return await self._api.call(method, given, timeout_s=timeout_s)
        except RefusedError as error:
            if error.status in _OUR_TOKEN:
                raise PermanentError("Telegram does not take the token of WEVION_TELEGRAM_BOT_TOKEN") from None
            raise MethodBusyError(f"Telegram: {method}: refused with {error.status}", error.retry_after_s) from None
        except BotApiAwayError as error:
            raise RetryableError(f"Telegram: {method}: {error.kind}") from None

    async def _quietly(self, method: str, given: dict[str, Any]) -> None:
        try:
            await self._ask(method, given)
        except (RetryableError, PermanentError) as error:
            _log.warning("chat_not_answered", method=method, error=str(error))

    def _read(self, error: RefusedError, parcel: ChatParcel) -> Outcome:  # noqa: PLR0911  a table: one answer per signal
        detail = f"telegram_{error.status}"
        said = error.description.lower()
        match error.status:
            case 429:
                asked_s = error.retry_after_s
                alone = self._busy.alone(parcel.address, asked_s or 0.0, monotonic())
                return Outcome(SendOutcome.TRY_LATER, retry_after_s=asked_s, detail=detail, alone=alone)
            case 403:
                return Outcome(SendOutcome.ADDRESS_DEAD, detail=detail)
            case 421:  # the bot is served elsewhere for a while; nothing is wrong with this message
                return Outcome(SendOutcome.CHANNEL_DOWN, detail=detail)
            case status if status in _OUR_TOKEN:
                _log.error("bot_token_refused", status=status)
                return Outcome(SendOutcome.CHANNEL_DOWN, detail=detail)
            case status if status >= _SERVER_ERROR:
                return Outcome(SendOutcome.TRY_LATER, detail=detail)
        if error.moved_to is not None:
            return Outcome(SendOutcome.TRY_LATER, retry_after_s=0, new_address=str(error.moved_to), detail=detail)
        if _UNCHANGED in said:
            return Outcome(SendOutcome.ACCEPTED, reference=parcel.edits)
        if any(words in said for words in _NOT_EDITABLE):
            return Outcome(SendOutcome.NOT_EDITABLE, detail=detail)
        dead = any(words in said for words in _GONE)
        return Outcome(SendOutcome.ADDRESS_DEAD if dead else SendOutcome.MESSAGE_REFUSED, detail=detail)


def _message(chat_id: int, text: str, buttons: Sequence[Button]) -> dict[str, Any]:
    given = _text(chat_id, text)
    if buttons:
        keyboard = [[{"text": button.label, "callback_data": button.data}] for button in buttons]
        given["reply_markup"] = {"inline_keyboard": keyboard}
    return given


def _edit(chat_id: int, message_id: int, text: str) -> dict[str, Any]:
    return _text(chat_id, text) | {"message_id": message_id}


def _text(chat_id: int, text: str) -> dict[str, Any]:
    return {
        "chat_id": chat_id,
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
