"""The person's side of Telegram, for programs: open the link, press a button, write, block the bot, read the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from pydantic import Field

from provider_simulator.http_orders import checked_body, problem, whole
from provider_simulator.orders import Order
from provider_simulator.platforms.base import Platform
from provider_simulator.platforms.telegram import Telegram
from provider_simulator.platforms.telegram_methods import PROVIDER, Bot

if TYPE_CHECKING:
    from provider_simulator.people import Person
    from provider_simulator.platforms.telegram_chats import Chat
    from provider_simulator.world import World

WAIT_AT_MOST_S = 30.0


class Act(Order):
    """`bot` is a user name; left out: the first bot."""

    user: str = "avery"
    bot: str | None = None


class OpenLink(Act):
    """`link` as the product shows it (`https://t.me/Bot?start=...`), or just its `payload`."""

    link: str | None = None
    payload: str | None = None


class Press(Act):
    """`button`: its text or its callback data."""

    button: str
    message_id: int | None = None


class Say(Act):
    text: str = Field(min_length=1)


class Migrate(Act):
    to: int = -1001000000001


class TelegramControl:
    def __init__(self, world: World, platforms: Mapping[str, Platform]) -> None:
        self._world = world
        self._platforms = platforms

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/_sim/telegram/open", self.open),
            web.post("/_sim/telegram/press", self.press),
            web.post("/_sim/telegram/say", self.say),
            web.post("/_sim/telegram/block", self.set_blocked(blocked=True)),
            web.post("/_sim/telegram/unblock", self.set_blocked(blocked=False)),
            web.post("/_sim/telegram/deactivate", self.deactivate),
            web.post("/_sim/telegram/migrate", self.migrate),
            web.get("/_sim/telegram/chats/{user}", self.chat),
            web.get("/_sim/telegram/callbacks/{id}", self.callback),
        ]

    @property
    def telegram(self) -> Telegram:
        platform = self._platforms[PROVIDER]
        if not isinstance(platform, Telegram):
            raise TypeError(platform)
        return platform

    def bot(self, name: str | None) -> Bot:
        apps = self._world.apps.of(PROVIDER)
        app = next((a for a in apps if name is None or a.client_id.lower() == name.lower()), None)
        if app is None:
            raise problem(404, "unknown_bot", f"no bot {name}; see /_sim/apps")
        return self.telegram.bot(app.client_id)

    def person(self, key: str) -> Person:
        person = self._world.people.get(key)
        if person is None:
            raise problem(404, "unknown_person", "see /_sim/people")
        return person

    def started(self, act: Act) -> tuple[Bot, Chat]:
        bot, person = self.bot(act.bot), self.person(act.user)
        chat = self.telegram.chats.of_person(bot.id, person)
        if chat is None:
            raise problem(404, "no_chat", f"{act.user} has not started {bot.app.client_id}")
        return bot, chat

    async def open(self, request: web.Request) -> web.Response:
        act = await checked_body(request, OpenLink)
        payload, name = act.payload, act.bot
        if act.link is not None:
            parts = urlsplit(act.link)
            name = parts.path.rstrip("/").rpartition("/")[2]
            payload = parse_qs(parts.query).get("start", [None])[0]
        chat = self.telegram.open_link(self.bot(name), self.person(act.user), payload)
        return web.json_response({"chat_id": chat.id, "message_id": chat.last_message_id}, status=201)

    async def press(self, request: web.Request) -> web.Response:
        act = await checked_body(request, Press)
        bot, chat = self.started(act)
        try:
            query_id = self.telegram.press(bot, chat, act.button, act.message_id)
        except LookupError as error:
            raise problem(422, "no_such_button", str(error.args[0])) from None
        return web.json_response({"callback_query_id": query_id}, status=201)

    async def say(self, request: web.Request) -> web.Response:
        act = await checked_body(request, Say)
        bot, chat = self.started(act)
        self.telegram.say(bot, chat, act.text, self._world.clock.now())
        return web.json_response({"message_id": chat.last_message_id}, status=201)

    def set_blocked(self, *, blocked: bool) -> Callable[[web.Request], Any]:
        async def act(request: web.Request) -> web.Response:
            bot, chat = self.started(await checked_body(request, Act))
            self.telegram.set_blocked(bot, chat, blocked=blocked)
            return web.json_response({"blocked": chat.blocked})

        return act

    async def deactivate(self, request: web.Request) -> web.Response:
        """The person deletes the Telegram account: no update tells it, only the refused message."""
        _, chat = self.started(await checked_body(request, Act))
        chat.deactivated = True
        self.telegram.chats.changed(chat)
        return web.json_response({"deactivated": True})

    async def migrate(self, request: web.Request) -> web.Response:
        act = await checked_body(request, Migrate)
        _, chat = self.started(act)
        chat.migrated_to = act.to
        self.telegram.chats.changed(chat)
        return web.json_response({"migrate_to_chat_id": act.to})

    async def chat(self, request: web.Request) -> web.Response:
        """All messages; `after` (message id), `text` (a part) and `from_bot=1` choose, `wait_s` waits for one."""
        query = request.query
        bot, person = self.bot(query.get("bot")), self.person(request.match_info["user"])
        after, text = whole(query.get("after", "0"), "after"), query.get("text", "").lower()
        wait_s = min(float(whole(query.get("wait_s", "0"), "wait_s")), WAIT_AT_MOST_S)
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            chat = self.telegram.chats.of_person(bot.id, person)
            found = (
                []
                if chat is None
                else [
                    m.shown(chat)
                    for m in chat.messages
                    if m.id > after and text in m.text.lower() and (m.from_id == bot.id or "from_bot" not in query)
                ]
            )
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                break
            try:
                await asyncio.wait_for(self.telegram.chats.came.wait(), left)
            except TimeoutError:
                break
        return web.json_response(
            {
                "chat_id": None if chat is None else chat.id,
                "blocked": chat is not None and chat.blocked,
                "messages": found,
            }
        )

    async def callback(self, request: web.Request) -> web.Response:
        found = self.telegram.callback(request.match_info["id"])
        if found is None:
            raise problem(404, "unknown_callback", "no such button was pressed")
        return web.json_response(found)
