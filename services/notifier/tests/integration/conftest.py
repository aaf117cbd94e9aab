"""The world's edges: Telegram as the simulator has it, and the HTTP API with real tokens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from common.contracts import NoticeChannel
from common.runtime.retry import Backoff
from common.testing import api
from notifier.channels.email import http as unsubscribing
from notifier.channels.endpoints import http as endpoints
from notifier.channels.endpoints.http import Managed
from notifier.channels.slack import http as slack_http
from notifier.channels.slack.api import SlackApi
from notifier.channels.slack.channel import SlackChannel
from notifier.channels.telegram import http as telegram_http
from notifier.channels.telegram import linking as telegram
from notifier.channels.telegram.channel import TelegramChannel
from notifier.channels.telegram.updating import Poller
from notifier.channels.throttle import Throttle
from notifier.channels.webhook import http as webhook_http
from notifier.channels.webhook.channel import WebhookChannel
from notifier.http import messages, notices, preferences
from notifier.operations.notices import Reader
from provider_simulator.app import Simulator
from provider_simulator.clock import SimClock
from provider_simulator.platforms.slack import HOOK_PATH
from provider_simulator.settings import Settings

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
            http,
            SecretStr(BOT_TOKEN),
            api_url=f"{simulator.url}/api.telegram.org",
            texts=world.deps.texts,
            throttle=Throttle(rate=1000, burst=1000, clock=world.clock),
        )
        world.deps.channels[NoticeChannel.TELEGRAM] = bot
        await world.know_people_of()
        yield Telegram(world, simulator, http, bot, Poller(world.deps, bot, world.clock))
        await bot.close()


@dataclass
class Outside:
    """What lies outside of the product: Slack and a customer's own system, as the simulator has them."""

    world: Any
    simulator: Simulator
    http: aiohttp.ClientSession
    slack: SlackChannel
    webhook: WebhookChannel

    async def order(self, method: str, path: str, **body: Any) -> Any:
        url = f"{self.simulator.control_url}/_sim/{path}"
        async with self.http.request(method, url, json=body or None) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def slack_messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.order("GET", "slack/channels/C0WEVIONADS"))["messages"]
        return found

    async def receiver(self, secret: str, **how: Any) -> None:
        await self.order("PUT", "receivers/crm", secrets=[secret], **how)

    async def posted(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.order("GET", "receivers/crm"))["came"]
        return found

    @property
    def receiver_url(self) -> str:
        return f"{self.simulator.url}/receiver.example/hooks/crm"

    @property
    def hook_url(self) -> str:
        return f"{self.simulator.url}/hooks.slack.com{HOOK_PATH}"


@pytest.fixture
async def outside(world: Any) -> AsyncIterator[Outside]:
    clock = SimClock(lambda: world.clock.now().timestamp())
    settings = Settings(port=0, control_port=0, smtp_port=0)
    async with (
        Simulator(settings, clock) as simulator,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
    ):
        deps, retry = world.deps, Backoff(base_s=5, cap_s=43_200, factor=4, jitter=0)
        api = SlackApi(http, f"{simulator.url}/slack.com/api")
        slack = SlackChannel(deps, deps.vault, api, clock=world.clock, retry=Backoff(base_s=5, cap_s=900, jitter=0))
        allowed = [urlsplit(simulator.url).netloc]
        webhook = WebhookChannel(deps, deps.vault, clock=world.clock, allowed=allowed, retry=retry)
        deps.channels.update({slack.name: slack, webhook.name: webhook})
        await world.know_people_of()
        yield Outside(world, simulator, http, slack, webhook)
        await webhook.close()


WEBHOOK_SECRET = "a-secret-of-the-webhook"


class Api(api.Api):
    """Calls the API as a person, a service or a stranger."""

    def signed_in(self, person: Any, **claims: Any) -> str:
        """The JWT of somebody whom the world knows."""
        return self.person(person.workspace_id, person.role, **({"sub": str(person.user_id)} | claims))

    async def page(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """As a browser or a mail client, which have no token of ours."""
        async with self.http.request(method, URL(self.url + path, encoded=True), **more) as answer:
            return answer.status, await answer.text()


@pytest.fixture(name="api")
async def served_api(telegram_world: Telegram) -> AsyncIterator[Api]:
    world = telegram_world.world
    deps, clock, bot = world.deps, world.clock, telegram_world.bot
    routes = [
        notices.routes(deps, clock),
        preferences.routes(deps, clock),
        unsubscribing.routes(deps, clock),
        messages.routes(deps, clock, public_url="http://wevion.example"),
        telegram_http.routes(deps, clock, bot, public_url="http://wevion.example"),
        telegram_http.webhook_routes(deps, clock, bot, secret=SecretStr(WEBHOOK_SECRET)),
    ]
    async with api.served(routes, title="notifier") as found:
        yield Api(found.http, found.url, found.issuer)


@pytest.fixture
async def channels_api(outside: Outside) -> AsyncIterator[Api]:
    """The workspace's channels as admins manage them."""
    deps, clock = outside.world.deps, outside.world.clock
    slack = Managed(outside.slack, lambda code: slack_http.explain(deps.texts, code))
    webhook = Managed(outside.webhook, lambda code: deps.texts.phrase("webhook", "reason", code=code))
    hooks_url = f"{outside.simulator.url}/hooks.slack.com"
    routes = [
        slack_http.routes(deps, clock, slack, outside.slack, hooks_url=hooks_url),
        webhook_http.routes(deps, clock, webhook, outside.webhook),
        endpoints.routes(deps, clock, [slack, webhook]),
        preferences.routes(deps, clock),
    ]
    async with api.served(routes, title="notifier") as found:
        yield Api(found.http, found.url, found.issuer)
