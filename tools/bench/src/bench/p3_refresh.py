"""P3: refreshes per second of one oauth-svc against the bare pipeline, at a provider that takes 50 ms and rotates.

Every grant is due at once. The provider's own ledger says whether a refresh token was ever presented twice.
"""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import token_endpoint
from bench.ceilings import refresh as bare
from bench.results import Result
from bench.stack import Stack, free_port
from common.contracts import TOPICS
from common.crypto import Keyring
from common.kafka import TopicReader

MUST = 0.6
DELAY_MS = 50
IN_FLIGHT = 128
WORKSPACES = 20
PREFIX = "p3."
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
class Drained:
    """What the provider saw of one drain."""

    rate: float
    requests: int
    presented_twice: int


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """The bare pipeline before and after ours, so that a drift of the machine shows."""
    grants = 5_000 if quick else 100_000
    bare_grants = 3_000 if quick else 15_000
    before = await _bare(stack, bare_grants, "before")
    ours = await _ours(stack, grants)
    after = await _bare(stack, bare_grants, "after")
    ceiling = (before.rate + after.rate) / 2
    ratio = ours.rate / ceiling
    return [
        Result(
            id="P3",
            measure=f"refreshes, {grants:,} due at once, {DELAY_MS} ms provider",
            ours=ours.rate,
            ceiling=ceiling,
            ratio=ratio,
            unit="refreshes/s",
            must=f">= {MUST} (aim 0.8), no token presented twice",
            met=ratio >= MUST and ours.presented_twice == 0 and ours.requests == grants,
            details={
                "requests": float(ours.requests),
                "presented twice": float(ours.presented_twice),
                "bare before": before.rate,
                "bare after": after.rate,
            },
        )
    ]


async def _provider(stack: Stack, name: str) -> int:
    port = free_port()
    program = str(Path(token_endpoint.__file__))
    arguments = ["python", program, "--port", str(port), "--delay-ms", str(DELAY_MS)]
    child = stack.start(f"p3-provider-{name}", arguments, stack.environment())
    await stack.ready(child, f"http://127.0.0.1:{port}/stats")
    return port


def _stats(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _drained(port: int) -> Drained:
    stats = _stats(port)
    seconds = stats["last_s"] - stats["first_s"]
    return Drained(stats["requests"] / seconds, stats["requests"], stats["presented_twice"])


async def _bare(stack: Stack, grants: int, name: str) -> Drained:
    port = await _provider(stack, f"bare-{name}")
    arguments = {
        "--dsn": await stack.database(),
        "--endpoint": f"http://127.0.0.1:{port}/token",
        "--grants": str(grants),
        "--in-flight": str(IN_FLIGHT),
    }
    program = [str(Path(bare.__file__)), *(part for pair in arguments.items() for part in pair)]
    await asyncio.to_thread(stack.command, ["python", *program], stack.environment())
    return _drained(port)


async def _ours(stack: Stack, grants: int) -> Drained:
    port = await _provider(stack, "ours")
    await stack.topics(PREFIX)
    keyring, providers, lines = (stack.folder / name for name in ("p3-keyring.json", "p3-providers.toml", "p3.jsonl"))
    Keyring.generate().write(keyring)
    providers.write_text(PROVIDERS.format(port=port))
    _write_grants(lines, grants)
    environment = stack.environment(
        database_url=await stack.database("oauth_svc"),
        http_port=free_port(),
        kafka_topic_prefix=PREFIX,
        keyring_file=keyring,
        providers_file=providers,
        in_flight=IN_FLIGHT,
        jwks_url=f"http://127.0.0.1:{port}/jwks",  # nobody calls this oauth-svc
    )
    await asyncio.to_thread(stack.verb, ["oauth-svc", "import", "--file", str(lines)], environment)
    child = stack.start("p3-oauth-svc", ["oauth-svc", "run"], environment)
    await stack.ready(child, f"http://127.0.0.1:{environment['WEVION_HTTP_PORT']}/readyz")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while (seen := _stats(port)["requests"]) < grants:
        child.require_running()
        if loop.time() > deadline:
            raise RuntimeError(f"only {seen} of {grants} refreshes came in time:\n{child.log_tail()}")
        await asyncio.sleep(LOOK_EVERY_S)
    await _told(stack, grants)
    child.stop()
    return _drained(port)


async def _told(stack: Stack, grants: int) -> None:
    """Wait until each refresh is on the wire: what was not told was not finished."""
    assert "token.refreshed" in TOPICS  # noqa: S101  the contract's name
    told = 0
    async with asyncio.timeout(PATIENCE_S):
        async for _ in TopicReader(stack.kafka_settings(PREFIX), "token.refreshed"):
            told += 1
            if told >= grants:
                return


def _write_grants(path: Path, grants: int) -> None:
    now = datetime.now(UTC)
    ended = (now - timedelta(minutes=1)).isoformat()
    with path.open("w") as file:
        for number in range(grants):
            line = {
                "provider": "bench",
                "workspace_id": str(UUID(int=number % WORKSPACES + 1, version=4)),
                "owner_user_id": str(UUID(int=number % WORKSPACES + 1000, version=4)),
                "external_user_id": f"person-{number}",
                "accounts": [{"external_id": f"account-{number}", "name": f"Account {number}"}],
                "access_token": f"at-{number}.0",
                "refresh_token": f"ours-{number}.0",
                "access_expires_at": ended,
                "expires_at": None,
                "scopes": [],
            }
            file.write(json.dumps(line) + "\n")
