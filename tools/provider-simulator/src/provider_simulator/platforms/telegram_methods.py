"""The methods of the Bot API that this simulator knows."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from provider_simulator.apps import App
from provider_simulator.platforms import telegram_text as texts
from provider_simulator.platforms.base import Platform
from provider_simulator.platforms.telegram_calls import normal, refuse, too_many, whole
from provider_simulator.platforms.telegram_chats import Chat, Chats
from provider_simulator.platforms.telegram_updates import Updates
from provider_simulator.wire import Reply
from provider_simulator.world import World

PROVIDER = "telegram"


LONG_POLL_AT_MOST_S = 50


SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


WEBHOOK_PORTS = {443, 80, 88, 8443}


BLOCKED = "Forbidden: bot was blocked by the user"


DEACTIVATED = "Forbidden: user is deactivated"


# Methods that only have to be accepted.
QUIET = {
    "setMyCommands",
    "deleteMyCommands",
    "setMyDescription",
    "setMyShortDescription",
    "setMyName",
    "setChatMenuButton",
    "sendChatAction",
    "logOut",
    "close",
}


Method = Callable[[float, "Bot", dict[str, Any]], Awaitable[Any]]


class Bot:
    """One bot of the app list: its user name is the app's client id, its token the client secret."""

    def __init__(self, app: App, now: Callable[[], float]) -> None:
        self.app = app
        self.id = int(app.client_secret.partition(":")[0])
        self.updates = Updates(self.id, now)
        self.set_webhook_at = -math.inf

    @property
    def user(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": True, "first_name": self.app.name, "username": self.app.client_id}


class TelegramMethods(Platform):
    """Carry out one method for one bot.

    Modes: `local_webhooks`: http, any port and loopback addresses are good enough for a webhook, as on a Bot API server
    of one's own; the per-chat and overall message rates (0 switches them off).
    """

    providers = (PROVIDER,)

    modes: ClassVar[dict[str, Any]] = {
        "local_webhooks": True,
        "per_chat_per_s": 1.0,
        "per_chat_burst": 20,
        "overall_per_s": 30.0,
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.chats = Chats(world)
        self._bots: dict[str, Bot] = {}
        self._callbacks: dict[str, dict[str, Any]] = {}
        self._methods: dict[str, Method] = {
            "getme": self.get_me,
            "getchat": self.get_chat,
            "sendmessage": self.send_message,
            "editmessagetext": self.edit_message_text,
            "editmessagereplymarkup": self.edit_message_text,
            "deletemessage": self.delete_message,
            "answercallbackquery": self.answer_callback_query,
            "getupdates": self.get_updates,
            "setwebhook": self.set_webhook,
            "deletewebhook": self.delete_webhook,
            "getwebhookinfo": self.get_webhook_info,
            "getmycommands": self.no_commands,
        } | {name.lower(): self.accepted for name in QUIET}

    async def get_me(self, _now: float, bot: Bot, _given: dict[str, Any]) -> Any:
        more = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        return bot.user | more

    async def accepted(self, _now: float, _bot: Bot, _given: dict[str, Any]) -> Any:
        return True

    async def no_commands(self, _now: float, _bot: Bot, _given: dict[str, Any]) -> Any:
        return []

    async def get_chat(self, _now: float, bot: Bot, given: dict[str, Any]) -> Any:
        return self.chat(bot, given).shown() | {"accent_color_id": 0, "max_reaction_count": 11}

    def chat(self, bot: Bot, given: dict[str, Any]) -> Chat:
        """The chat that a method names; it exists only once the person has started the bot."""
        chat_id = given.get("chat_id")
        if chat_id in {None, ""}:
            raise refuse(400, "Bad Request: chat_id is empty")
        chat = self.chats.get(bot.id, str(chat_id))
        if chat is None:
            raise refuse(400, "Bad Request: chat not found")
        return chat

    def writable(self, bot: Bot, given: dict[str, Any]) -> Chat:
        chat = self.chat(bot, given)
        if chat.deactivated:
            raise refuse(403, DEACTIVATED)
        if chat.blocked:
            raise refuse(403, BLOCKED)
        if chat.migrated_to is not None:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise refuse(400, text, {"migrate_to_chat_id": chat.migrated_to})
        return chat

    def may_send(self, now: float, bot: Bot, chat: Chat) -> None:
        limits, per_chat, overall = (
            self.world.limits,
            float(self.mode("per_chat_per_s")),
            float(self.mode("overall_per_s")),
        )
        wait_s = 0.0
        if per_chat:
            burst = float(self.mode("per_chat_burst"))
            wait_s = limits.average(f"telegram {bot.id} {chat.id}", per_chat, burst, now)
        if overall and not wait_s:
            wait_s = limits.average(f"telegram {bot.id}", overall, overall, now)
        if wait_s:
            raise Reply(too_many(wait_s))

    async def send_message(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        chat = self.writable(bot, given)
        text = self.text(given)
        markup = self.markup(given)
        self.may_send(now, bot, chat)
        return self.chats.write(chat, bot.user, text, markup, now).shown(chat)

    def text(self, given: dict[str, Any]) -> str:
        text = given.get("text")
        if not isinstance(text, str):
            raise refuse(400, "Bad Request: message text is empty")
        try:
            plain = texts.plain(text, given.get("parse_mode"))
        except texts.ParseError as error:
            raise refuse(400, f"Bad Request: can't parse entities: {error}") from None
        if not plain.strip():
            raise refuse(400, "Bad Request: message text is empty")
        if len(plain) > texts.MOST_CHARACTERS:
            raise refuse(400, "Bad Request: message is too long")
        return plain

    def markup(self, given: dict[str, Any]) -> dict[str, Any] | None:
        markup = given.get("reply_markup")
        if markup is None:
            return None
        try:
            texts.check_markup(markup)
        except texts.ParseError as error:
            raise refuse(400, f"Bad Request: {error}") from None
        found: dict[str, Any] | None = markup if "inline_keyboard" in markup else None
        return found

    async def edit_message_text(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        """Also editMessageReplyMarkup, which leaves the text."""
        chat = self.writable(bot, given)
        message = chat.message(given.get("message_id"))
        if message is None or message.from_id != bot.id:
            raise refuse(400, "Bad Request: message to edit not found")
        text = self.text(given) if "text" in given else message.text
        markup = self.markup(given)
        if (text, markup) == (message.text, message.markup):
            raise refuse(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message",
            )
        self.chats.edit(chat, message, text, markup, now)
        return message.shown(chat)

    async def delete_message(self, _now: float, bot: Bot, given: dict[str, Any]) -> Any:
        chat = self.chat(bot, given)
        message = chat.message(given.get("message_id"))
        if message is None:
            raise refuse(400, "Bad Request: message to delete not found")
        self.chats.delete(chat, message)
        return True

    async def answer_callback_query(self, _now: float, _bot: Bot, given: dict[str, Any]) -> Any:
        query = self._callbacks.get(str(given.get("callback_query_id")))
        if query is None or query["answer"] is not None:
            text = "Bad Request: query is too old and response timeout expired or query ID is invalid"
            raise refuse(400, text)
        query["answer"] = {"text": given.get("text"), "show_alert": bool(given.get("show_alert"))}
        return True

    async def get_updates(self, _now: float, bot: Bot, given: dict[str, Any]) -> Any:
        if bot.updates.webhook is not None:
            text = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise refuse(409, f"Conflict: {text}")
        if "allowed_updates" in given:
            bot.updates.allow(given["allowed_updates"])
        wait_s = min(max(0, whole(given, "timeout", 0)), LONG_POLL_AT_MOST_S)
        limit = min(max(1, whole(given, "limit", 100)), 100)
        found = await bot.updates.poll(whole(given, "offset", 0), limit, wait_s)
        if found is None:
            text = "terminated by other getUpdates request; make sure that only one bot instance is running"
            raise refuse(409, f"Conflict: {text}")
        return found

    async def set_webhook(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        if now - bot.set_webhook_at < 1:
            raise Reply(too_many(1))
        url, secret = str(given.get("url", "")), given.get("secret_token")
        if secret is not None and SECRET.fullmatch(str(secret)) is None:
            raise refuse(400, "Bad Request: secret token contains unallowed characters")
        if url and not self.mode("local_webhooks"):
            self.public(url)
        elif url and not re.match(r"https?://[^/]+", url):
            raise refuse(400, "Bad Request: bad webhook: invalid URL specified")
        bot.set_webhook_at = now
        if given.get("drop_pending_updates"):
            bot.updates.drop()
        if "allowed_updates" in given:
            bot.updates.allow(given["allowed_updates"])
        bot.updates.deliver_to(url or None, None if secret is None else str(secret), self.execute(bot))
        return True

    def public(self, url: str) -> None:
        """What the public Bot API server wants of a webhook URL."""
        found = re.match(r"https://[^/:]+(?::(\d+))?(?:/|$)", url)
        if found is None:
            raise refuse(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if found[1] is not None and int(found[1]) not in WEBHOOK_PORTS:
            raise refuse(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")

    def execute(self, bot: Bot) -> Callable[[dict[str, Any]], Awaitable[None]]:
        """A method that stands in the answer to a webhook call."""

        async def run(given: dict[str, Any]) -> None:
            method = self._methods.get(str(given.pop("method", "")).lower())
            if method is None:
                return
            try:
                await method(self.world.clock.now(), bot, normal(given))
            except Reply:
                return  # as at Telegram, nobody is told

        return run

    async def delete_webhook(self, _now: float, bot: Bot, given: dict[str, Any]) -> Any:
        if given.get("drop_pending_updates"):
            bot.updates.drop()
        bot.updates.deliver_to(None, None, self.execute(bot))
        return True

    async def get_webhook_info(self, _now: float, bot: Bot, _given: dict[str, Any]) -> Any:
        return bot.updates.info()
