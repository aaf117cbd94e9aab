"""Fixtures: a stage with a real database, the provider simulator, and oauth-svc's HTTP in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import aiohttp
import pytest

from common.crypto import Keyring, KeyringEncryption
from common.postgres import Pool, open_pool
from common.runtime import ids
from common.runtime.shield import Shield
from common.testing import stack as testing_stack
from common.testing.api import Issuer
from common.web import create_app, serve
from oauth_svc import http
from oauth_svc.operations import expiry
from oauth_svc.operations.deps import Deps, Limits
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe
from oauth_svc.operations.serving.access import AccessTokens
from oauth_svc.operations.vault import Vault
from oauth_svc.providers.registry import ProvidersFile, build_providers
from provider_simulator.app import Simulator
from provider_simulator.settings import Settings as SimulatorSettings

PUBLIC_URL = "http://127.0.0.1:8080"
SIGNED_IN = Issuer()


class OffsetClock:
    """The system's time, moved by what a test says: leases are on the database's clock, so time itself goes on."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        self.offset += by


@dataclass
class Person:
    """A signed-in user's browser."""

    user_id: UUID
    workspace_id: UUID
    role: str
    session_id: UUID = field(default_factory=ids.new_id)

    @property
    def headers(self) -> dict[str, str]:
        who = {"sub": str(self.user_id), "sid": str(self.session_id), "epoch": 1}
        return _bearer(SIGNED_IN.person(self.workspace_id, self.role, **who))


def service_headers(scope: str = "tokens:read") -> dict[str, str]:
    """A backend service's JWT."""
    return _bearer(SIGNED_IN.service(scope))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Reply:
    """An answer, read."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def location(self) -> str:
        return self.headers["Location"]


@dataclass
class Stage:
    """Everything a test needs."""

    pool: Pool
    deps: Deps
    engine: Engine
    simulator: Simulator
    session: aiohttp.ClientSession
    url: str
    clock: OffsetClock

    def service(self, scope: str = "tokens:read") -> dict[str, str]:
        return service_headers(scope)

    def person(self, *, role: str = "member", workspace_id: UUID | None = None) -> Person:
        return Person(ids.new_id(), workspace_id or ids.new_id(), role)

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **more) as response:
            return Reply(response.status, dict(response.headers), await response.text())

    async def sim(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self.ask(method, f"{self.simulator.control_url}/_sim/{path}", json=body)
        assert reply.status < 300, reply.text
        return json.loads(reply.text) if reply.text else None

    async def consent_url(self, person: Person, provider: str = "meta", **query: str) -> str:
        reply = await self.ask("GET", f"/connect/{provider}", person.headers, params=query)
        assert reply.status == 302, reply.text
        return reply.location

    async def agree(self, consent_url: str, *form: tuple[str, str]) -> dict[str, str]:
        """What the platform sends the browser back with."""
        reply = await self.ask("POST", consent_url, data=list(form))
        assert reply.status == 302, reply.text
        return dict(parse_qsl(urlsplit(reply.location).query))

    async def connect(
        self,
        person: Person,
        provider: str = "meta",
        user: str = "avery",
        form: tuple[tuple[str, str], ...] = (),
        **query: str,
    ) -> Reply:
        back = await self.agree(await self.consent_url(person, provider, **query), ("user", user), *form)
        return await self.ask("GET", f"/connect/{provider}/callback", person.headers, params=back)

    async def enter(self, person: Person, provider: str, form: dict[str, str]) -> Reply:
        """The credential form of a platform without a consent screen."""
        return await self.ask("POST", f"/connect/{provider}", person.headers, data=form)

    async def connections(self, person: Person) -> list[dict[str, Any]]:
        reply = await self.ask("GET", "/api/v1/connections", person.headers)
        assert reply.status == 200, reply.text
        items: list[dict[str, Any]] = reply.json["items"]
        return items

    async def connection(self, person: Person) -> dict[str, Any]:
        (only,) = await self.connections(person)
        return only

    async def events(self, *, clear: bool = True) -> list[tuple[str, dict[str, Any]]]:
        """What went to the outbox, in order: (topic, body)."""
        rows = await self.pool.fetch("SELECT topic, payload FROM outbox ORDER BY id")
        if clear:
            await self.pool.execute("DELETE FROM outbox")
        return [(row["topic"], json.loads(row["payload"])) for row in rows]

    async def refresh_due(self) -> int:
        """Run the refresh sweep to its end."""
        claimed = 0
        while (status := await self.engine.sweep()).claimed:
            claimed += status.claimed
            await self.engine.drain(20)
        return claimed

    async def make_due(self, provider: str = "meta") -> None:
        await self.pool.execute(
            "UPDATE schedule SET refresh_at = now() - interval '1 second' WHERE provider = $1", provider
        )

    async def probe_all(self, *, sparing: bool = False) -> None:
        """Probe every connection now; `sparing`: without a list where none is due yet."""
        if not sparing:
            await self.pool.execute("UPDATE account_listing SET list_due_at = NULL")
        await self.pool.execute("UPDATE schedule SET probe_at = now() - interval '1 second' WHERE probe_at IS NOT NULL")
        await probe.sweep(self.deps, self.engine)

    async def pass_time(self) -> None:
        await expiry.sweep(self.deps)


def providers_file(simulator: Simulator) -> ProvidersFile:
    """The settings that point every provider at the simulator."""
    base = f"{simulator.url}/rfc6749.example"
    clients: dict[str, dict[str, object]] = {
        app.provider: {"client_id": app.client_id, "client_secret": app.client_secret}
        for app in simulator.world.apps.all()
        if app.provider not in ("telegram", "rfc6749")
    }
    clients |= {"taboola": {}, "outbrain": {}}
    clients["google-ads"] |= {"developer_token": "sim-developer-token", "family": "google:wevion-ads"}
    clients["google-drive"] |= {"family": "google:wevion-drive"}
    clients["stripe"] |= {"webhook_secret": "whsec_SimWevionConnect"}
    for client in clients.values():
        client |= {"requests_per_s": 10000, "burst": 10000, "timeout_s": 2}
    return ProvidersFile.model_validate(
        {
            "via": simulator.url,
            "allow_private_hosts": [urlsplit(simulator.url).netloc],
            "providers": {
                **clients,
                "rfc6749": {
                    "title": "Acme Ads",
                    "client_id": "wevion",
                    "client_secret": "sim-rfc6749-secret",
                    "authorize_url": f"{base}/authorize",
                    "token_url": f"{base}/token",
                    "revocation_url": f"{base}/revoke",
                    "introspection_url": f"{base}/introspect",
                    "userinfo_url": f"{base}/api/me",
                    "accounts_url": f"{base}/api/accounts",
                    "scopes": ["ads.read", "accounts.read"],
                    "rotation": "single_use",
                    "requests_per_s": 10000,
                    "burst": 10000,
                    "timeout_s": 2,
                },
            },
        }
    )


@pytest.fixture(scope="session")
def one_database(postgres_server: str) -> Iterator[str]:
    """One database for the run: making one takes longer than a test. Each test empties it first."""
    template = asyncio.run(testing_stack.ensure_template(postgres_server, "oauth_svc"))
    dsn = asyncio.run(testing_stack.clone_database(postgres_server, template))
    yield dsn
    asyncio.run(testing_stack.drop_database(postgres_server, dsn))


async def emptied(pool: Pool) -> None:
    """Every table but the list of migrations."""
    rows = await pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migration'"
    )
    await pool.execute("TRUNCATE " + ", ".join(row["tablename"] for row in rows) + " RESTART IDENTITY")


@pytest.fixture
async def stage(one_database: str) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            Simulator(SimulatorSettings(port=0, control_port=0, smtp_port=0, public_url=PUBLIC_URL))
        )
        pool = await open_pool(one_database, application_name="test", max_size=8)
        stack.push_async_callback(pool.close)
        await emptied(pool)
        providers = build_providers(providers_file(simulator))
        stack.push_async_callback(providers.close)
        clock = OffsetClock()
        deps = Deps(
            pool=pool,
            providers=providers,
            vault=Vault(KeyringEncryption(Keyring.generate())),
            clock=clock,
            public_url=PUBLIC_URL,
            limits=Limits(lease=timedelta(seconds=5), canary_every=timedelta(milliseconds=50)),
        )
        engine, shield = Engine(deps, Breakers(deps)), Shield()
        verifier = SIGNED_IN.verifier()
        app = create_app(
            http.routes(deps, engine, AccessTokens(deps, engine), shield, verifier.authenticate),
            authenticate=verifier.authenticate,
            title="oauth-svc",
            version="test",
            ready_checks={},
        )
        server = await stack.enter_async_context(serve(app, host="127.0.0.1", port=0))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), cookie_jar=aiohttp.DummyCookieJar())
        )
        yield Stage(pool, deps, engine, simulator, session, server.url, clock)
        engine.stop()
        await engine.drain(5)
        await shield.drain(5)
