"""session-svc and its gateway as they run, on a real PostgreSQL and a real Kafka, under a clock that tests move."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
import aiohttp.web
import pytest
from yarl import URL

from common.contracts import Event, EventBody, decode
from common.crypto import Keyring
from common.kafka import TopicReader
from common.postgres import Pool, open_pool
from common.testing import ManualClock, eventually
from common.testing.processes.ports import choose_port
from session_svc import app
from session_svc.core.people import Role
from session_svc.operations import setup
from session_svc.operations.hashing import PasswordHasher
from session_svc.settings import GatewaySettings, SessionSettings

if TYPE_CHECKING:
    from common.testing import DatabaseFactory, KafkaForTest

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    user_id: UUID
    email: str
    workspace_id: UUID
    password: str = PASSWORD


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.body["code"])


@dataclass
class Browser:
    """A browser at the public origin: one cookie, and the Origin header that browsers add to unsafe calls."""

    http: aiohttp.ClientSession
    origin: str
    cookie: str | None = None

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; a new session cookie is kept as a browser keeps it."""
        sent = {"Origin": self.origin} if method not in {"GET", "HEAD"} else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent["Cookie"] = f"wevion_session={self.cookie}"
        async with self.http.request(
            method, URL(self.origin + path, encoded=True), json=body, headers=sent, allow_redirects=False
        ) as response:
            raw = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "") and raw
            for line in response.headers.getall("Set-Cookie", []):
                name, _, rest = line.partition("=")
                if name == "wevion_session":
                    self.cookie = rest.partition(";")[0]
            return Answer(response.status, response.headers, await response.json(content_type=None) if is_json else raw)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("PUT", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> Answer:
        return await self.call("DELETE", path, **headers)

    async def token(self) -> Answer:
        """What the browser's session module does."""
        return await self.post("/api/v1/auth/token")


@dataclass
class World:
    """The running system and hands to reach into it."""

    pool: Pool
    http: aiohttp.ClientSession
    clock: ManualClock
    kafka: "KafkaForTest"
    identity_url: str
    gateway_url: str
    notifier: "FakeNotifier"
    settings: SessionSettings
    hasher: PasswordHasher = field(default_factory=lambda: PasswordHasher(memory_kib=8, passes=1))

    async def workspace(self, name: str = "Acme") -> UUID:
        """A new workspace."""
        made, _ = await setup.create_workspace(self.pool, name=name, workspace_id=None, now=self.clock.now())
        return made

    async def person(
        self, name: str = "ann", role: Role = Role.MEMBER, workspace_id: UUID | None = None, *, support: bool = False
    ) -> Person:
        """A new user. Without a workspace, in `Acme`; support admins in their own."""
        email = f"{name}@example.com"
        made = await setup.create_user(
            self.pool,
            self.hasher,
            email=email,
            name=name.title(),
            password=PASSWORD,
            workspace_id=None if support else workspace_id or await self.workspace(),
            role=role,
            time_zone="Europe/Berlin",
            locale="en",
            support_admin=support,
            now=self.clock.now(),
        )
        return Person(made.user_id, email, made.workspace_id)

    def browser(self) -> Browser:
        """A browser without a session."""
        return Browser(self.http, self.gateway_url)

    async def signed_in(self, person: Person) -> Browser:
        """A browser with a session."""
        browser = self.browser()
        answer = await browser.post("/api/v1/auth/sign-in", {"email": person.email, "password": person.password})
        assert answer.status == 200, answer.body
        return browser

    async def client(self, client_id: str, *scopes: str) -> str:
        """A service client; returns its secret."""
        secret = await setup.create_client(
            self.pool, client_id=client_id, name=client_id, scopes=scopes, secret=None, now=self.clock.now()
        )
        assert secret is not None
        return secret

    async def service_token(self, client_id: str, *scopes: str) -> str:
        """A service's JWT."""
        secret = await self.client(client_id, *scopes)
        form = {"grant_type": "client_credentials"}
        async with self.http.post(
            f"{self.identity_url}/oauth2/token",
            data=form,
            headers={"Authorization": aiohttp.encode_basic_auth(client_id, secret)},
        ) as answer:
            assert answer.status == 200
            return str((await answer.json())["access_token"])

    async def sessions_in_state(self, status: str) -> int:
        """How many sessions are in this state."""
        count: int = await self.pool.fetchval("SELECT count(*) FROM sessions WHERE status = $1", status)
        return count

    @contextlib.asynccontextmanager
    async def events(self, *topics: str) -> AsyncIterator[list[Event[EventBody]]]:
        """The events of these topics from the beginning, as they come in."""
        seen: list[Event[EventBody]] = []
        reader = TopicReader(self.kafka.settings, *topics)

        async def follow() -> None:
            async for record in reader:
                if record.value is not None:
                    seen.append(decode(record.value, record.headers))  # noqa: PERF401  they are looked at as they come

        task = asyncio.create_task(follow())
        try:
            await reader.caught_up.wait()
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class FakeNotifier:
    """Stands where the notifier's service API stands, and keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.status = 202
        self.url = ""

    async def handle(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        if self.status < 300:
            self.messages.append(await request.json())
            self.authorizations.append(request.headers["Authorization"])
        return aiohttp.web.Response(status=self.status)


@pytest.fixture
async def notifier() -> AsyncIterator[FakeNotifier]:
    fake = FakeNotifier()
    web = aiohttp.web.Application()
    web.router.add_post("/api/v1/messages", fake.handle)
    runner = aiohttp.web.AppRunner(web)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield fake
    await runner.cleanup()


@pytest.fixture
def clock() -> ManualClock:
    """Begins at the present second: events carry it, and brokers refuse times far from theirs."""
    return ManualClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
async def world(
    database: "DatabaseFactory",
    kafka: "KafkaForTest",
    notifier: FakeNotifier,
    clock: ManualClock,
    tmp_path: Path,
) -> AsyncIterator[World]:
    """session-svc and its gateway, ready."""
    identity_port, gateway_port = choose_port(), choose_port()
    identity_url, gateway_url = f"http://127.0.0.1:{identity_port}", f"http://127.0.0.1:{gateway_port}"
    dsn = await database("session_svc")
    keyring_file = tmp_path / "keyring.json"
    Keyring.generate().write(keyring_file)
    shared: dict[str, Any] = {
        "kafka_bootstrap_servers": kafka.bootstrap,
        "kafka_topic_prefix": kafka.prefix,
        "public_url": gateway_url,
        "issuer": gateway_url,
        "jwks_url": f"{identity_url}/.well-known/jwks.json",
        "token_url": f"{identity_url}/oauth2/token",
        "log_level": "warning",
        "drain_s": 1,
    }
    settings = SessionSettings(
        http_port=identity_port,
        database_url=dsn,
        keyring_file=keyring_file,
        notifier_url=notifier.url,
        password_memory_kib=8,
        password_passes=1,
        **shared,
    )
    gateway = GatewaySettings(
        http_port=gateway_port,
        session_url=identity_url,
        notifier_url=notifier.url,
        oauth_url=f"http://127.0.0.1:{choose_port()}",  # nobody listens there
        heartbeat_s=0.2,
        upstream_timeout_s=5,
        trusted_proxies="127.0.0.1",
        **shared,
    )
    async with (
        running(app.run(settings, clock)),
        running(app.run_gateway(gateway, clock)),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        pool = await open_pool(dsn, application_name="test", max_size=3)
        try:
            for url in (identity_url, gateway_url):
                await eventually(_ready(http, url), 20, what=f"{url} is ready")
            yield World(pool, http, clock, kafka, identity_url, gateway_url, notifier, settings)
        finally:
            await pool.close()


@contextlib.asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[None]:
    """A process's main function as a task; what it raised is raised at the end."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _ready(http: aiohttp.ClientSession, url: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        try:
            async with http.get(f"{url}/readyz") as answer:
                assert answer.status == 200, await answer.text()
                return True
        except aiohttp.ClientConnectionError:
            return False

    return check
