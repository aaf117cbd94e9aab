"""One oauth-svc with many grants due at once, at a provider that takes 50 ms, rotates, and counts."""

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench import token_endpoint
from bench.imported import PROVIDER, write_grants
from bench.stack import Stack, free_port
from common.crypto import Keyring
from common.kafka import TopicReader
from common.testing.processes import Child

DELAY_MS = 50
IN_FLIGHT = 128
LOOK_EVERY_S = 0.25
PATIENCE_S = 600.0

PROVIDERS = """
allow_private_hosts = ["127.0.0.1:{port}"]
[providers.bench]
title = "Bench"
client_id = "bench"
client_secret = "bench"
authorize_url = "http://127.0.0.1:{port}/authorize"
token_url = "http://127.0.0.1:{port}/token"
client_auth = "post"
rotation = "single_use"
requests_per_s = 100000
burst = 100000
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a provider saw."""

    requests: int
    presented_twice: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests per second, from the first to the last."""
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class CountingProvider:
    """`token_endpoint` as a process."""

    port: int

    @classmethod
    async def started(cls, stack: Stack, name: str) -> "CountingProvider":
        """Answers when this returns."""
        port = free_port()
        program = str(Path(token_endpoint.__file__))
        arguments = ["python", program, "--port", str(port), "--delay-ms", str(DELAY_MS)]
        child = stack.start(f"{name}-provider", arguments, stack.environment())
        await stack.ready(child, f"http://127.0.0.1:{port}/stats")
        return cls(port)

    def seen(self) -> Seen:
        """Up to now."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return Seen(found["requests"], found["presented_twice"], found["last_s"] - found["first_s"])


@dataclass(slots=True)
class Drain:
    """Made by `prepared`; nothing is asked of the provider before `let_go`."""

    stack: Stack
    name: str
    grants: int
    provider: CountingProvider
    dsn: str
    keyring: Path
    environment: dict[str, str]
    _child: Child | None = field(default=None)

    @classmethod
    async def prepared(cls, stack: Stack, name: str, grants: int, keyring: Keyring) -> "Drain":
        """Everything imported and due, the service ready, the import's own events on the wire, the provider blocked.

        An import tells two events a grant. Relayed while the grants are refreshed, they would be measured as well.
        """
        provider = await CountingProvider.started(stack, name)
        prefix = f"{name}."
        await stack.topics(prefix)
        ring, providers, lines = (stack.folder / f"{name}{end}" for end in (".keyring.json", ".toml", ".jsonl"))
        keyring.write(ring)
        providers.write_text(PROVIDERS.format(port=provider.port))
        write_grants(lines, grants, ends=datetime.now(UTC) - timedelta(minutes=1))
        dsn = await stack.database("oauth_svc")
        environment = stack.environment(
            database_url=dsn,
            http_port=free_port(),
            kafka_topic_prefix=prefix,
            keyring_file=ring,
            providers_file=providers,
            in_flight=IN_FLIGHT,
            jwks_url=f"http://127.0.0.1:{provider.port}/jwks",  # nobody calls this oauth-svc
        )
        drain = cls(stack, name, grants, provider, dsn, ring, environment)
        await drain.verb("import", "--file", str(lines))
        # as a platform's own `Retry-After` does it
        await drain.execute(
            "INSERT INTO provider_health (provider, tokens, blocked_until) VALUES ($1, 0, now() + interval '1 day')",
            PROVIDER,
        )
        await drain.start()
        await drain.until(drain.told_all, "the import is told")
        return drain

    async def start(self) -> None:
        """Start the service (again), as a new process that knows nothing."""
        self.stop()
        self._child = self.stack.start(f"{self.name}-oauth-svc", ["oauth-svc", "run"], self.environment)
        await self.stack.ready(self._child, f"http://127.0.0.1:{self.environment['WEVION_HTTP_PORT']}/readyz")

    def stop(self) -> None:
        """End the service; the provider stays."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    async def let_go(self) -> None:
        """The provider may be asked: all at once."""
        await self.execute("UPDATE provider_health SET blocked_until = '-infinity' WHERE provider = $1", PROVIDER)

    async def all_due(self) -> None:
        """Once more."""
        await self.execute("UPDATE schedule SET refresh_at = now(), deadline = now()")

    async def verb(self, *arguments: str) -> str:
        """A command of oauth-svc beside the service; returns what it printed."""
        return await asyncio.to_thread(self.stack.verb, ["oauth-svc", *arguments], self.environment)

    async def requests(self, count: int) -> None:
        """Wait until the provider was asked so often."""

        async def reached() -> bool:
            return self.provider.seen().requests >= count

        await self.until(reached, f"{count} refreshes")

    async def told_all(self) -> bool:
        """Whether the outbox is empty."""
        return bool(await self.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))

    async def told(self, refreshes: int) -> None:
        """Wait until so many are on the wire: what was not told was not finished."""
        settings = self.stack.kafka_settings(f"{self.name}.")
        count = 0
        async with asyncio.timeout(PATIENCE_S):
            async for _ in TopicReader(settings, "token.refreshed"):
                count += 1
                if count >= refreshes:
                    return

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for it. Raises `RuntimeError` when the service ended or patience did."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while not await condition():
            if self._child is not None:
                self._child.require_running()
            if loop.time() > deadline:
                raise RuntimeError(f"{what}: not in time; it says:\n{self._child.log_tail() if self._child else ''}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def execute(self, statement: str, *arguments: object) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    async def fetchval(self, query: str) -> Any:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()
