"""The Telegram Bot API as aiogram speaks to it: token in the path, updates by webhook or long poll, never both.

platforms/telegram.md. A chat is one person and one bot; what the person does is ordered through the control API or on
the page of the deep link.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from provider_simulator.faults import Fault
from provider_simulator.grants import Grant
from provider_simulator.people import Person
from provider_simulator.platforms import telegram_text as texts
from provider_simulator.platforms.base import Revocation
from provider_simulator.platforms.telegram_calls import bot_error, parameters, refuse, too_many
from provider_simulator.platforms.telegram_chats import Chat
from provider_simulator.platforms.telegram_methods import PROVIDER, Bot, TelegramMethods
from provider_simulator.wire import Call, Route, Routes, answer

HOST = "api.telegram.org"
START_PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Telegram(TelegramMethods):
    """The bots of the app list, and what people do in their chats."""

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
            raise refuse(404, "Not Found")
        for app in self.world.apps.of(PROVIDER):
            if hmac.compare_digest(app.client_secret.encode(), token.encode()) and not app.options.get("revoked"):
                return self.bot(app.client_id)
        raise refuse(401, "Unauthorized")

    def called(self, name: str | None) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        async def handler(call: Call) -> web.StreamResponse:
            bot = self.bot_of_token(call.path["token"])
            method = self._methods.get((name or call.path["method"]).lower())
            if method is None:
                raise refuse(404, "Not Found")
            return answer({"ok": True, "result": await method(call.now, bot, await parameters(call))})

        return handler

    async def not_found(self, _call: Call) -> web.StreamResponse:
        raise refuse(404, "Not Found")

    # -- methods

    # -- updates

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
        return too_many(retry_after_s)

    def failing(self, _call: Call, fault: Fault, /) -> web.Response:
        status = fault.status or 502
        return bot_error(
            status, str(fault.code or {500: "Internal Server Error", 502: "Bad Gateway"}.get(status, "Error"))
        )
