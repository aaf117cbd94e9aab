"""Telegram, as the rest of the notifier sees it.

The client library is loaded when it is first needed, in a thread: it is large, and nobody should wait for it, least of
all an installation without a bot.
"""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import SecretStr

from common.contracts import NoticeChannel
from notifier.channels.base import Parcel
from notifier.channels.throttle import Throttle
from notifier.core.delivery import Outcome
from notifier.core.telegram import Button, Incoming

if TYPE_CHECKING:
    from notifier.channels.bot_api import BotApi

_LIBRARY = "notifier.channels.bot_api"


class TelegramChannel:
    """One bot."""

    name = NoticeChannel.TELEGRAM
    repeat_is_recognised = False

    def __init__(self, token: SecretStr, *, api_url: str, throttle: Throttle) -> None:
        self._token = token
        self._api_url = api_url
        self._throttle = throttle
        self._api: BotApi | None = None
        self._username = ""

    async def username(self) -> str:
        """The bot's name, for deep links; asked once.

        Raises:
            Retryable: Telegram does not answer.
            Permanent: it does not take the bot's token.

        """
        if not self._username:
            self._username = await (await self._loaded()).username()
        return self._username

    async def send(self, parcel: Parcel) -> Outcome:
        """Send a message, or edit an earlier one. See `Channel.send`."""
        api = await self._loaded()
        await self._throttle.wait()
        return await api.send(parcel)

    async def say(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> None:
        """Answer somebody in a chat. An answer that cannot be given is only noted: they will ask again."""
        await (await self._loaded()).say(chat_id, text, buttons)

    async def replace(self, chat_id: int, message_id: int, text: str) -> None:
        """Put the outcome in the place of our question; its buttons go."""
        await (await self._loaded()).replace(chat_id, message_id, text)

    async def acknowledge(self, callback_id: str) -> None:
        """Stop the progress circle on a pressed button."""
        await (await self._loaded()).acknowledge(callback_id)

    async def updates(self, offset: int | None) -> list[Incoming]:
        """Wait for updates after `offset`. Raises as `username` does."""
        return await (await self._loaded()).updates(offset)

    async def parse(self, raw: bytes) -> Incoming:
        """An update as a webhook brings it. Raises ValueError for anything else."""
        await self._loaded()
        found: Incoming = import_module(_LIBRARY).parse(raw)
        return found

    async def use_webhook(self, url: str, secret: SecretStr) -> None:
        """Have updates posted to `url`. Raises as `username` does."""
        await (await self._loaded()).use_webhook(url, secret)

    async def use_polling(self) -> None:
        """End a webhook, which would make polling impossible. Raises as `username` does."""
        await (await self._loaded()).use_polling()

    async def close(self) -> None:
        """Close the connections."""
        if self._api is not None:
            await self._api.close()

    async def _loaded(self) -> "BotApi":
        if self._api is None:
            library = await asyncio.to_thread(import_module, _LIBRARY)
            if self._api is None:  # two callers may have waited for the import
                self._api = library.BotApi(self._token, self._api_url)
        return self._api
