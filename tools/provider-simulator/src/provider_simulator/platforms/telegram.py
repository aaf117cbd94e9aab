"""The Telegram Bot API as aiogram speaks to it: token in the path, updates by webhook or long poll, never both.

providers.md section 10. A chat is one person and one bot; what the person does is ordered through the control API or on
the page of the deep link.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiohttp import web

from provider_simulator.apps import App
from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Person
from provider_simulator.platforms import telegram_text as texts
from provider_simulator.platforms.base import Platform, Revocation
from provider_simulator.platforms.telegram_chats import Chat, Chats
from provider_simulator.platforms.telegram_updates import Updates
from provider_simulator.wire import Call, Reply, Route, Routes, answer
from provider_simulator.world import World

HOST = "api.telegram.org"
PROVIDER = "telegram"
LONG_POLL_AT_MOST_S = 50
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
START_PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
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


class Telegram(Platform):
    """Modes.

    `local_webhooks`: http, any port and loopback addresses are good enough for a webhook, as on a Bot API server of
    one's own; the per-chat and overall message rates (0 switches them off).
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

    def routes(self, routes: Routes) -> None:
        for name in ("sendMessage", "editMessageText", "getUpdates", "setWebhook", "getMe", "answerCallbackQuery"):
            for verb in ("GET", "POST"):
                routes.add(verb, HOST, "/bot{token}/" + name, self.route(name, self.called(name)))
        for verb in ("GET", "POST"):
            routes.add(verb, HOST, "/bot{token}/{method}", self.route("api", self.called(None)))
        routes.otherwise(HOST, Route(PROVIDER, "api", self.not_found))

    def reset(self) -> None:
        for bot in self._bots.values():
            bot.updates.stop()
        self._bots.clear()
        self._callbacks.clear()

    async def close(self) -> None:
        for bot in self._bots.values():
            await bot.updates.close()

    # -- which bot

    def bot(self, username: str) -> Bot:
        app = self.world.apps.get(PROVIDER, username)
        if app is None:
            raise LookupError(f"no bot {username}")
        known = self._bots.get(username)
        if known is None or known.app.client_secret != app.client_secret:
            known = self._bots[username] = Bot(app, self.world.clock.now)
        known.app = app
        return known

    def bot_of_token(self, token: str) -> Bot:
        if re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", token) is None:
            raise _refuse(404, "Not Found")
        for app in self.world.apps.of(PROVIDER):
            if hmac.compare_digest(app.client_secret.encode(), token.encode()) and not app.options.get("revoked"):
                return self.bot(app.client_id)
        raise _refuse(401, "Unauthorized")

    def called(self, name: str | None) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        async def handler(call: Call) -> web.StreamResponse:
            bot = self.bot_of_token(call.path["token"])
            method = self._methods.get((name or call.path["method"]).lower())
            if method is None:
                raise _refuse(404, "Not Found")
            return answer({"ok": True, "result": await method(call.now, bot, await _given(call))})

        return handler

    async def not_found(self, _call: Call) -> web.StreamResponse:
        raise _refuse(404, "Not Found")

    # -- methods

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
            raise _refuse(400, "Bad Request: chat_id is empty")
        chat = self.chats.get(bot.id, str(chat_id))
        if chat is None:
            raise _refuse(400, "Bad Request: chat not found")
        return chat

    def writable(self, bot: Bot, given: dict[str, Any]) -> Chat:
        chat = self.chat(bot, given)
        if chat.deactivated:
            raise _refuse(403, DEACTIVATED)
        if chat.blocked:
            raise _refuse(403, BLOCKED)
        if chat.migrated_to is not None:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise _refuse(400, text, {"migrate_to_chat_id": chat.migrated_to})
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
            raise Reply(_too_many(wait_s))

    async def send_message(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        chat = self.writable(bot, given)
        text = self.text(given)
        markup = self.markup(given)
        self.may_send(now, bot, chat)
        return self.chats.write(chat, bot.user, text, markup, now).shown(chat)

    def text(self, given: dict[str, Any]) -> str:
        text = given.get("text")
        if not isinstance(text, str):
            raise _refuse(400, "Bad Request: message text is empty")
        try:
            plain = texts.plain(text, given.get("parse_mode"))
        except texts.ParseError as error:
            raise _refuse(400, f"Bad Request: can't parse entities: {error}") from None
        if not plain.strip():
            raise _refuse(400, "Bad Request: message text is empty")
        if len(plain) > texts.MOST_CHARACTERS:
            raise _refuse(400, "Bad Request: message is too long")
        return plain

    def markup(self, given: dict[str, Any]) -> dict[str, Any] | None:
        markup = given.get("reply_markup")
        if markup is None:
            return None
        try:
            texts.check_markup(markup)
        except texts.ParseError as error:
            raise _refuse(400, f"Bad Request: {error}") from None
        found: dict[str, Any] | None = markup if "inline_keyboard" in markup else None
        return found

    async def edit_message_text(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        """Also editMessageReplyMarkup, which leaves the text."""
        chat = self.writable(bot, given)
        message = chat.message(given.get("message_id"))
        if message is None or message.from_id != bot.id:
            raise _refuse(400, "Bad Request: message to edit not found")
        text = self.text(given) if "text" in given else message.text
        markup = self.markup(given)
        if (text, markup) == (message.text, message.markup):
            raise _refuse(
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
            raise _refuse(400, "Bad Request: message to delete not found")
        self.chats.delete(chat, message)
        return True

    async def answer_callback_query(self, _now: float, _bot: Bot, given: dict[str, Any]) -> Any:
        query = self._callbacks.get(str(given.get("callback_query_id")))
        if query is None or query["answer"] is not None:
            text = "Bad Request: query is too old and response timeout expired or query ID is invalid"
            raise _refuse(400, text)
        query["answer"] = {"text": given.get("text"), "show_alert": bool(given.get("show_alert"))}
        return True

    # -- updates

    async def get_updates(self, _now: float, bot: Bot, given: dict[str, Any]) -> Any:
        if bot.updates.webhook is not None:
            text = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise _refuse(409, f"Conflict: {text}")
        if "allowed_updates" in given:
            bot.updates.allow(given["allowed_updates"])
        wait_s = min(max(0, _whole(given, "timeout", 0)), LONG_POLL_AT_MOST_S)
        limit = min(max(1, _whole(given, "limit", 100)), 100)
        found = await bot.updates.poll(_whole(given, "offset", 0), limit, wait_s)
        if found is None:
            text = "terminated by other getUpdates request; make sure that only one bot instance is running"
            raise _refuse(409, f"Conflict: {text}")
        return found

    async def set_webhook(self, now: float, bot: Bot, given: dict[str, Any]) -> Any:
        if now - bot.set_webhook_at < 1:
            raise Reply(_too_many(1))
        url, secret = str(given.get("url", "")), given.get("secret_token")
        if secret is not None and SECRET.fullmatch(str(secret)) is None:
            raise _refuse(400, "Bad Request: secret token contains unallowed characters")
        if url and not self.mode("local_webhooks"):
            self.public(url)
        elif url and not re.match(r"https?://[^/]+", url):
            raise _refuse(400, "Bad Request: bad webhook: invalid URL specified")
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
            raise _refuse(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if found[1] is not None and int(found[1]) not in WEBHOOK_PORTS:
            raise _refuse(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")

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

    # -- what a person does

    def open_link(self, bot: Bot, person: Person, payload: str | None) -> Chat:
        """The person opens the deep link and presses START; a payload that is not one is dropped, as clients do."""
        now = self.world.clock.now()
        chat = self.chats.of(bot.id, person)
        if chat.blocked:
            self.set_blocked(bot, chat, blocked=False)
        text = "/start" if payload is None or START_PAYLOAD.fullmatch(payload) is None else f"/start {payload}"
        self.say(bot, chat, text, now)
        return chat

    def say(self, bot: Bot, chat: Chat, text: str, now: float) -> None:
        message = self.chats.write(chat, chat.user(), text, None, now)
        shown = message.shown(chat)
        if text.startswith("/"):
            shown["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.partition(" ")[0])}]
        bot.updates.add("message", shown, now)

    def press(self, bot: Bot, chat: Chat, button: str, message_id: int | None) -> str:
        """Press the inline button with this text or data, on the newest message that has it; the query's id."""
        for message in reversed(chat.messages):
            found = texts.button(message.markup, button)
            if found is None or (message_id is not None and message.id != message_id):
                continue
            if "callback_data" not in found:
                raise LookupError(f"the button {button} opens {found.get('url')}")
            query_id = self.world.randomness.digits(18)
            query = {
                "id": query_id,
                "from": chat.user(),
                "message": message.shown(chat),
                "chat_instance": str(chat.id),
                "data": found["callback_data"],
            }
            self._callbacks[query_id] = {"answer": None, "data": found["callback_data"]}
            bot.updates.add("callback_query", query, self.world.clock.now())
            return query_id
        raise LookupError(f"no message in this chat has a button {button}")

    def callback(self, query_id: str) -> dict[str, Any] | None:
        return self._callbacks.get(query_id)

    def set_blocked(self, bot: Bot, chat: Chat, *, blocked: bool) -> None:
        """my_chat_member is part of the default updates, and lost where `allowed_updates` leaves it out."""
        if chat.blocked == blocked:
            return
        now = self.world.clock.now()
        chat.blocked = blocked
        self.chats.changed(chat)

        def member(status: str) -> dict[str, Any]:
            return {"user": bot.user, "status": status} | ({"until_date": 0} if status == "kicked" else {})

        update = {
            "chat": chat.shown(),
            "from": chat.user(),
            "date": int(now),
            "old_chat_member": member("member" if blocked else "kicked"),
            "new_chat_member": member("kicked" if blocked else "member"),
        }
        bot.updates.add("my_chat_member", update, now)

    # -- orders and trouble

    def revoke(self, _grant: Grant, _order: Revocation, /) -> list[str]:
        raise LookupError("a Telegram link is ended with POST /_sim/telegram/block")

    def rate_limited(self, _call: Call, retry_after_s: float, _fault: Fault | None, /) -> web.Response:
        return _too_many(retry_after_s)

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 502
        return _error(
            status, str(fault.code or {500: "Internal Server Error", 502: "Bad Gateway"}.get(status, "Error"))
        )


def _error(status: int, description: str, parameters: dict[str, Any] | None = None) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    headers = {}
    if parameters is not None:
        body["parameters"] = parameters
        if "retry_after" in parameters:
            headers["Retry-After"] = str(parameters["retry_after"])
    return answer(body, status, headers)


def _refuse(status: int, description: str, parameters: dict[str, Any] | None = None) -> Reply:
    return Reply(_error(status, description, parameters))


def _too_many(wait_s: float) -> web.Response:
    seconds = max(1, math.ceil(wait_s))
    return _error(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


async def _given(call: Call) -> dict[str, Any]:
    """Query, form (plain or multipart) or JSON; objects may come as JSON strings, as clients send them in forms."""
    given: dict[str, Any] = dict(call.query)
    if call.request.content_type == "application/json":
        given |= await call.json() or {}
    elif call.request.can_read_body:
        given |= {k: v for k, v in (await call.request.post()).items() if isinstance(v, str)}
    return normal(given)


def normal(given: dict[str, Any]) -> dict[str, Any]:
    """Objects, lists and booleans out of their strings."""
    for name in ("reply_markup", "allowed_updates", "link_preview_options", "entities"):
        if isinstance(given.get(name), str):
            try:
                given[name] = json.loads(given[name])
            except ValueError:
                raise _refuse(400, f"Bad Request: can't parse {name} JSON object") from None
    for name in ("drop_pending_updates", "show_alert"):
        if isinstance(given.get(name), str):
            given[name] = given[name].lower() in {"true", "1"}
    return given


def _whole(given: dict[str, Any], name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except ValueError:
        raise _refuse(400, f"Bad Request: {name} must be an integer") from None
