"""session-svc and its gateway as they run, on a real PostgreSQL and a real Kafka, under a clock that tests move."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import aiohttp.web
import pytest
import pytest_asyncio

from common.contracts import Event, EventBody, decode
from common.crypto import Keyring, KeyringEncryption
from common.kafka import TopicReader
from common.postgres import Pool, open_pool
from common.runtime.ids import new_id
from common.testing import ManualClock, eventually, stack
from common.testing.processes.ports import choose_port
from common.testing.stack import KafkaForTest
from gateway import app as gateway_app
from gateway.settings import GatewaySettings
from session_svc import app
from session_svc.core.people import Role
from session_svc.operations import setup
from session_svc.operations.deps import Deps
from session_svc.operations.hashing import PasswordHasher
from session_svc.operations.keys import SigningKeys
from session_svc.settings import SessionSettings
from testbed.browser import PASSWORD, Browser, Person


@dataclass
class System:
    """The running processes."""

    pool: Pool
    http: aiohttp.ClientSession
    clock: ManualClock
    kafka: KafkaForTest
    identity_url: str
    gateway_url: str
    operators_url: str
    notifier: "FakeNotifier"
    settings: SessionSettings
    gateway_settings: GatewaySettings


@dataclass
class World:
    """The running system as one test sees it: with people, workspaces and an address of its own."""

    system: System
    mark: str
    address: str
    hasher: PasswordHasher = field(default_factory=lambda: PasswordHasher(memory_kib=8, passes=1))

    @property
    def pool(self) -> Pool:
        return self.system.pool

    @property
    def http(self) -> aiohttp.ClientSession:
        return self.system.http

    @property
    def clock(self) -> ManualClock:
        return self.system.clock

    @property
    def identity_url(self) -> str:
        return self.system.identity_url

    @property
    def gateway_url(self) -> str:
        return self.system.gateway_url

    def deps(self) -> Deps:
        """What operations are given, for calling one directly."""
        assert self.system.settings.keyring_file is not None
        key_encryption = KeyringEncryption(Keyring.from_file(self.system.settings.keyring_file))
        return Deps(
            pool=self.pool,
            keys=SigningKeys(self.pool, key_encryption, self.system.settings.schedule()),
            key_encryption=key_encryption,
            hasher=self.hasher,
            issuer=self.gateway_url,
            audience="wevion",
            public_url=self.gateway_url,
        )

    def advance(self, step: timedelta) -> None:
        """Time passes, for all processes."""
        self.system.clock.advance(step)

    async def rate_limits_age(self, step: timedelta) -> None:
        """Time passes for the rate limits, which are on the database's clock."""
        await self.pool.execute("UPDATE rate_limits SET tat = tat - $1::interval", step)

    def email(self, name: str) -> str:
        """An address of this test's own."""
        return f"{name}.{self.mark}@example.com"

    async def workspace(self, name: str = "Acme") -> UUID:
        """A workspace of this test's own; the same for the same name."""
        made, _ = await setup.create_workspace(
            self.pool, name=f"{name} {self.mark}", workspace_id=None, now=self.clock.now()
        )
        return made

    async def person(
        self, name: str = "ann", role: Role = Role.MEMBER, workspace_id: UUID | None = None, *, support: bool = False
    ) -> Person:
        """A new user. Without a workspace, in `Acme`; support admins in their own."""
        email = self.email(name)
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
        return Browser(self.http, self.gateway_url, self.address)

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

    async def give_secret(self, client_id: str, secret: str, *scopes: str) -> None:
        """One more secret for a client, a moment later."""
        self.advance(timedelta(seconds=1))
        await setup.create_client(
            self.pool, client_id=client_id, name=client_id, scopes=scopes, secret=secret, now=self.clock.now()
        )

    async def service_token(self, *scopes: str) -> str:
        """The JWT of a new service client with these scopes."""
        client_id = f"service-{new_id()}"
        secret = await self.client(client_id, *scopes)
        async with self.http.post(
            f"{self.identity_url}/oauth2/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": aiohttp.encode_basic_auth(client_id, secret)},
        ) as answer:
            assert answer.status == 200
            return str((await answer.json())["access_token"])

    async def live_sessions(self, person: Person) -> int:
        """How many sessions of this person are in state active."""
        count: int = await self.pool.fetchval(
            "SELECT count(*) FROM sessions WHERE status = 'active' AND user_id = $1", person.user_id
        )
        return count

    @contextlib.asynccontextmanager
    async def events(self, *topics: str) -> AsyncIterator[list[Event[EventBody]]]:
        """The events of these topics from the beginning, as they come in."""
        seen: list[Event[EventBody]] = []
        reader = TopicReader(self.system.kafka.settings, *topics)

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
        self.refused = 0
        self.status = 202
        self.url = ""

    async def handle(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        if self.status < 300:
            self.messages.append(await request.json())
            self.authorizations.append(request.headers["Authorization"])
        else:
            self.refused += 1
        return aiohttp.web.Response(status=self.status)


@contextlib.asynccontextmanager
async def _notifier() -> AsyncIterator[FakeNotifier]:
    fake = FakeNotifier()
    web = aiohttp.web.Application()
    web.router.add_post("/api/v1/messages", fake.handle)
    runner = aiohttp.web.AppRunner(web)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield fake
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(
    postgres_server: str, kafka_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """session-svc and its gateway, started once for all tests: they differ in their people, not in their processes.

    Its clock begins at the present second (brokers refuse times far from theirs) and only ever goes forward.
    """
    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    template = await stack.ensure_template(postgres_server, "session_svc")
    dsn = await stack.clone_database(postgres_server, template)
    kafka = stack.KafkaForTest(bootstrap=kafka_server, prefix=stack.unique_name("test") + ".")
    await kafka.create_topics()
    keyring_file = tmp_path_factory.mktemp("keyring") / "keyring.json"
    Keyring.generate().write(keyring_file)
    identity_port, gateway_port, operators_port = choose_port(), choose_port(), choose_port()
    identity_url, gateway_url = f"http://127.0.0.1:{identity_port}", f"http://127.0.0.1:{gateway_port}"
    operators_url = f"http://127.0.0.1:{operators_port}"
    async with _notifier() as notifier:
        shared: dict[str, Any] = {
            "kafka_bootstrap_servers": kafka.bootstrap,
            "kafka_topic_prefix": kafka.prefix,
            "public_url": gateway_url,
            "issuer": gateway_url,
            "jwks_url": f"{identity_url}/.well-known/jwks.json",
            "token_url": f"{identity_url}/oauth2/token",
            "notifier_url": notifier.url,
            "log_level": "warning",
            "drain_s": 1,
            "accept_unsigned_states": False,  # as every release but the first: what is not signed ends no session
        }
        settings = SessionSettings(
            http_port=identity_port,
            database_url=dsn,
            keyring_file=keyring_file,
            password_memory_kib=8,
            password_passes=1,
            **shared,
        )
        gateway_settings = GatewaySettings(
            http_port=gateway_port,
            session_url=identity_url,
            oauth_url=f"http://127.0.0.1:{choose_port()}",  # nobody listens there
            heartbeat_s=0.2,
            upstream_timeout_s=5,
            operators_port=operators_port,
            trusted_hops=1,  # so that each test's browsers have an address of their own
            **shared,
        )
        async with (
            running(app.run(settings, clock)),
            running(gateway_app.run(gateway_settings, clock)),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            pool = await open_pool(dsn, application_name="test", max_size=3)
            for url in (identity_url, operators_url):
                await eventually(_ready(http, url), 20, what=f"{url} is ready")
            yield System(
                pool,
                http,
                clock,
                kafka,
                identity_url,
                gateway_url,
                operators_url,
                notifier,
                settings,
                gateway_settings,
            )
            await pool.close()
    await kafka.delete_topics()
    await stack.drop_database(postgres_server, dsn)


@pytest_asyncio.fixture(loop_scope="session")
async def world(system: System) -> World:
    """The system, for one test."""
    unique = new_id().int
    address = f"10.{unique >> 16 & 255}.{unique >> 8 & 255}.{unique & 255}"
    return World(system, f"{unique & 0xFFFFFFFFFF:x}", address)


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
