"""What a person sees of Telegram: the page of a deep link with its START button, and the chat with the bot.

GET  /t.me/{bot}?start=<payload>&_user=avery      the link's page, or the chat once it is open
POST /t.me/{bot}   do=start|press|say|block|unblock, user, payload, button, message_id, text
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from aiohttp import web

from provider_simulator.consent import DEFAULT_USER, PAGES, Brand
from provider_simulator.platforms.telegram import Telegram
from provider_simulator.platforms.telegram_methods import PROVIDER, Bot
from provider_simulator.wire import Call, Route, Routes

HOST = "t.me"
BRAND = Brand("Telegram", "#229ed9", "T")


class TelegramPages:
    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._world = telegram.world

    def routes(self, routes: Routes) -> None:
        for method, handler in (("GET", self.show), ("POST", self.act)):
            routes.add(method, HOST, "/{bot}", Route("telegram-person", "page", handler))

    def bot(self, call: Call) -> Bot | None:
        name = call.path["bot"].lower()
        app = next((a for a in self._world.apps.of(PROVIDER) if a.client_id.lower() == name), None)
        return None if app is None else self._telegram.bot(app.client_id)

    async def show(self, call: Call) -> web.StreamResponse:
        bot = self.bot(call)
        if bot is None:
            return web.Response(status=404, text="there is no such bot\n")
        people = self._world.people
        person = people.get(call.query.get("_user", DEFAULT_USER)) or next(iter(people.values()))
        chat = self._telegram.chats.of_person(bot.id, person)
        messages = [] if chat is None else [m.shown(chat) | {"mine": m.from_id != bot.id} for m in chat.messages]
        for message in messages:
            message["at"] = datetime.fromtimestamp(message["date"], UTC).strftime("%H:%M")
        text = PAGES.get_template("chat.html").render(
            brand=BRAND,
            bot=bot.user,
            person=person,
            others=[p for p in people.values() if p.key != person.key],
            payload=call.query.get("start", ""),
            messages=messages,
            blocked=chat is not None and chat.blocked,
        )
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def act(self, call: Call) -> web.StreamResponse:
        bot, form = self.bot(call), await call.form()
        person = self._world.people.get(form.get("user", DEFAULT_USER))
        if bot is None or person is None:
            return web.Response(status=404, text="there is no such bot or person\n")
        do, telegram = form.get("do", "start"), self._telegram
        chat = telegram.chats.of_person(bot.id, person)
        if do == "start":
            telegram.open_link(bot, person, form.get("payload") or None)
        elif chat is not None and do == "press":
            number = form.get("message_id", "")
            try:
                telegram.press(bot, chat, form.get("button", ""), int(number) if re.fullmatch(r"\d+", number) else None)
            except LookupError as error:
                return web.Response(status=404, text=f"{error.args[0]}\n")
        elif chat is not None and do == "say" and form.get("text"):
            telegram.say(bot, chat, form["text"], self._world.clock.now())
        elif chat is not None and do in {"block", "unblock"}:
            telegram.set_blocked(bot, chat, blocked=do == "block")
        else:
            return web.Response(
                status=400, text="do is start, press, say, block or unblock, in a chat that was started\n"
            )
        return web.Response(status=303, headers={"Location": f"?_user={person.key}"})
