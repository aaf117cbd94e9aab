"""A Telegram that behaves as the real one: the platform simulator, which the bot's client speaks to unchanged."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from provider_simulator.app import Simulator
from provider_simulator.settings import Settings
from pydantic import SecretStr

from common.contracts import NoticeChannel
from notifier.channels.telegram import TelegramChannel
from notifier.channels.throttle import Throttle
from notifier.operations import telegram
from notifier.operations.notices import Reader
from notifier.sweep import Poller

BOT_TOKEN = "7000000001:SimWevionBotToken_AAAAAAAAAAAAAAAAA"


@dataclass
class Telegram:
    """People with Telegram, and our bot reading its updates."""

    world: Any
    simulator: Simulator
    http: aiohttp.ClientSession
    bot: TelegramChannel
    poller: Poller
    seen: dict[str, int] = field(default_factory=dict)

    async def order(self, path: str, **body: Any) -> Any:
        async with self.http.post(f"{self.simulator.control_url}/_sim/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def act(self, what: str, user: str = "avery", **body: Any) -> str:
        """A person does something, the bot takes it; what the bot's newest message says now."""
        await self.order(f"telegram/{what}", user=user, **body)
        await self.poller.run_once()
        return (await self.messages(user))[-1]["text"] if await self.messages(user) else ""

    async def messages(self, user: str = "avery") -> list[dict[str, Any]]:
        async with self.http.get(
            f"{self.simulator.control_url}/_sim/telegram/chats/{user}", params={"from_bot": "1"}
        ) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found

    def reader(self, name: str) -> Reader:
        person = self.world.people[name]
        return Reader(user_id=person.user_id, workspace_id=person.workspace_id, role=person.role)

    async def link(self, name: str) -> str:
        """A new deep link for this person, as the settings page shows it."""
        code, _ = await telegram.create_link(self.world.deps, self.reader(name), self.world.clock.now())
        return f"https://t.me/{await self.bot.username()}?start={code}"

    async def linked(self, name: str, user: str = "avery") -> None:
        await self.act("open", user, link=await self.link(name))
        assert "Linked" in await self.act("press", user, button="Yes, link this chat")

    async def state(self, name: str) -> str:
        return (await telegram.status(self.world.deps, self.reader(name), self.world.clock.now())).state.value


@pytest.fixture
async def telegram_world(world: Any) -> AsyncIterator[Telegram]:
    async with (
        Simulator(Settings(port=0, control_port=0, smtp_port=0)) as simulator,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
    ):
        bot = TelegramChannel(
            SecretStr(BOT_TOKEN),
            api_url=f"{simulator.url}/api.telegram.org",
            throttle=Throttle(rate=1000, burst=1000, clock=world.clock),
        )
        world.deps.channels[NoticeChannel.TELEGRAM] = bot
        await world.know_people_of()
        yield Telegram(world, simulator, http, bot, Poller(world.deps, bot, world.clock))
        await bot.close()
