"""The world's edges: Telegram as the simulator has it, and the HTTP API with real tokens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from yarl import URL

from common.auth import RevocationSet, Verifier
from common.auth.keys import FixedKeys
from common.contracts import NoticeChannel
from common.runtime.ids import new_id
from common.web import create_app, serve
from notifier.channels.telegram import TelegramChannel
from notifier.channels.throttle import Throttle
from notifier.http import messages, notices, preferences, unsubscribing
from notifier.http import telegram as telegram_http
from notifier.operations import telegram
from notifier.operations.notices import Reader
from notifier.sweep import Poller
from provider_simulator.app import Simulator
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
            throttle=Throttle(rate=1000, burst=1000, clock=world.clock),
        )
        world.deps.channels[NoticeChannel.TELEGRAM] = bot
        await world.know_people_of()
        yield Telegram(world, simulator, http, bot, Poller(world.deps, bot, world.clock))
        await bot.close()


ISSUER, AUDIENCE, KEY_ID = "http://issuer.test", "wevion", "k1"
WEBHOOK_SECRET = "a-secret-of-the-webhook"


@dataclass(frozen=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: Any


class Api:
    """Calls the API as a person, a service or a stranger."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: Ed25519PrivateKey) -> None:
        self._http, self._url, self._key = http, url, key

    def person(self, person: Any, **claims: Any) -> str:
        """The JWT of a signed-in person."""
        return self._sign(
            {
                "sub": str(person.user_id),
                "sid": str(new_id()),
                "wid": str(person.workspace_id),
                "role": person.role,
                "epoch": 0,
            }
            | claims
        )

    def service(self, scope: str) -> str:
        """The JWT of a service client."""
        return self._sign({"sub": "session-svc", "client_id": "session-svc", "scope": scope})

    def _sign(self, claims: dict[str, Any]) -> str:
        now = datetime.now(UTC)
        whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + timedelta(minutes=5), "jti": str(new_id())}
        return jwt.encode(whole | claims, self._key, algorithm="EdDSA", headers={"kid": KEY_ID})

    async def call(
        self, method: str, path: str, token: str | None = None, json: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self._http.request(method, self._url + path, headers=sent, json=json) as answer:
            return Answer(answer.status, await answer.json(content_type=None) if answer.status != 204 else None)

    async def page(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """As a browser or a mail client, which have no token of ours."""
        async with self._http.request(method, URL(self._url + path, encoded=True), **more) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def api(telegram_world: Telegram) -> AsyncIterator[Api]:
    key = Ed25519PrivateKey.generate()
    verifier = Verifier(FixedKeys({KEY_ID: key.public_key()}), RevocationSet(), ISSUER, AUDIENCE)
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
    app = create_app(routes, authenticate=verifier.authenticate, title="notifier", version="0")
    async with aiohttp.ClientSession() as http, serve(app) as server:
        yield Api(http, server.url, key)
