"""R1 and R3: three replicas of oauth-svc are killed in a loop while the platform misbehaves (seeded).

The simulator's ledger is the oracle: no single-use refresh token is presented twice. No grant that lives is declared
dead: what is not active at the end has an answer that was lost on the way, and says `unknown_outcome`. Nothing is
stuck.

`CHAOS_SECONDS` (20 by default; 180 for the full run) and `CHAOS_SEED` are read from the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from common.crypto import Keyring
from common.postgres import Pool, open_pool
from common.runtime import ids
from common.testing import eventually
from provider_simulator.app import Simulator
from provider_simulator.settings import Settings as SimulatorSettings

if TYPE_CHECKING:
    from common.testing import DatabaseFactory, KafkaForTest

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "20261123"))
GRANTS = 150
REPLICAS = 3
ACCESS_S = 24.0
LEASE_S = 12
COMMAND = str(Path(sys.executable).with_name("oauth-svc"))
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "rate_limit", "retry_after": 1, "rate": 0.05},
    {"kind": "status", "status": 503, "rate": 0.05},
    {"kind": "reset", "rate": 0.03},
    {"kind": "reset_after_answer", "rate": 0.01},
    {"kind": "slow", "delay_ms": 400, "rate": 0.2},
    {"kind": "html", "rate": 0.03},
)

pytestmark = pytest.mark.timeout(SECONDS * 3 + 240)


async def control(simulator: Simulator, method: str, path: str, body: Any = None) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{simulator.control_url}/_sim/{path}", json=body) as reply,
    ):
        assert reply.status < 300, await reply.text()
        return await reply.json() if reply.content_type == "application/json" else None


def providers_toml(url: str) -> str:
    base = f"{url}/rfc6749.example"
    return f"""
allow_private_hosts = ["{urlsplit(url).netloc}"]
[providers.rfc6749]
title = "Acme Ads"
client_id = "wevion"
client_secret = "sim-rfc6749-secret"
authorize_url = "{base}/authorize"
token_url = "{base}/token"
introspection_url = "{base}/introspect"
accounts_url = "{base}/api/accounts"
rotation = "single_use"
requests_per_s = 60
burst = 60
timeout_s = 3
"""


@asynccontextmanager
async def replica(environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(COMMAND, "run", env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def run_command(environment: dict[str, str], *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(COMMAND, *arguments, env=environment)
    assert await process.wait() == 0


async def counts(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT status, count(*) AS n FROM connection GROUP BY status")
    return {row["status"]: row["n"] for row in rows}


async def test_no_refresh_token_presented_twice(database: DatabaseFactory, kafka: KafkaForTest, tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the seed is printed, the run can be repeated
    print(f"seed {SEED}, {SECONDS:.0f} s")  # noqa: T201 - whoever repeats the run needs it
    settings = SimulatorSettings(port=0, control_port=0, smtp_port=0, seed=SEED)
    async with Simulator(settings) as simulator:
        environment = await prepared(simulator, await database("oauth_svc"), kafka, tmp_path)
        pool = await open_pool(environment["WEVION_DATABASE_URL"], application_name="chaos", max_size=2)
        try:
            kills = await storm(simulator, environment, tmp_path, chance)
            await control(simulator, "DELETE", "faults")
            async with replica(environment, tmp_path / "last.log"):
                await settle(pool)
            await judge(simulator, pool, kills)
        finally:
            await pool.close()


async def prepared(simulator: Simulator, dsn: str, kafka: KafkaForTest, folder: Path) -> dict[str, str]:
    """Grants that are due again and again, in the database and at the platform."""
    await control(simulator, "PUT", "lifetimes/rfc6749", {"access_s": ACCESS_S})
    made = await control(simulator, "POST", "grants/rfc6749", {"count": GRANTS})
    workspaces = [str(ids.new_id()) for _ in range(10)]
    lines = [
        json.dumps(
            {
                "provider": "rfc6749",
                "workspace_id": workspaces[number % 10],
                "owner_user_id": workspaces[0],
                "external_user_id": grant["grant"],
                "accounts": [{"external_id": f"acc-{number}", "name": f"Account {number}"}],
                "access_token": grant["access_token"],
                "refresh_token": grant["refresh_token"],
                "access_expires_at": "2020-01-01T00:00:00Z",
            }
        )
        for number, grant in enumerate(made["grants"])
    ]
    (folder / "grants.jsonl").write_text("\n".join(lines))
    (folder / "providers.toml").write_text(providers_toml(simulator.url))
    Keyring.generate().write(folder / "keyring.json")
    environment = {
        "PATH": os.environ["PATH"],
        "WEVION_DATABASE_URL": dsn,
        "WEVION_DATABASE_POOL_SIZE": "6",
        "WEVION_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "WEVION_KAFKA_TOPIC_PREFIX": kafka.prefix,
        "WEVION_KEYRING_FILE": str(folder / "keyring.json"),
        "WEVION_PROVIDERS_FILE": str(folder / "providers.toml"),
        "WEVION_HTTP_PORT": "0",
        "WEVION_POLL_S": "0.2",
        "WEVION_LEASE_S": str(LEASE_S),
        "WEVION_CANARY_EVERY_S": "0.5",
        "WEVION_LOG_LEVEL": "warning",
    }
    await run_command(environment, "import", "--file", str(folder / "grants.jsonl"))
    return environment


async def storm(simulator: Simulator, environment: dict[str, str], folder: Path, chance: random.Random) -> int:
    """Kill one of the replicas every second or so, and start it again at once; the platform misbehaves meanwhile."""
    for fault in FAULTS:
        await control(simulator, "POST", "faults", {"provider": "rfc6749", "endpoint": "token", **fault})
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    kills = 0

    async def killed_again_and_again(number: int) -> None:
        nonlocal kills
        while loop.time() < end:
            async with replica(environment, folder / f"replica-{number}.log") as process:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(chance.uniform(2.5, 7.0), max(end - loop.time(), 0.1))):
                        await process.wait()
                assert process.returncode is None, (folder / f"replica-{number}.log").read_text()[-2000:]
                process.send_signal(signal.SIGKILL)
                kills += 1

    await asyncio.gather(*(killed_again_and_again(number) for number in range(REPLICAS)))
    return kills


async def settle(pool: Pool) -> None:
    """Until nothing is open any more: every attempt settled, nothing overdue by more than a lease."""

    async def quiet() -> bool:
        open_attempts = await pool.fetchval(
            "SELECT count(*) FROM refresh_attempt"
            " WHERE state IN ('sent', 'answered') AND started_at < now() - interval '8 s'"
        )
        overdue = await pool.fetchval(
            "SELECT count(*) FROM schedule WHERE refresh_at < now() - interval '8 s' AND leased_until < now()"
        )
        incident = await pool.fetchval("SELECT count(*) FROM provider_health WHERE state = 'open'")
        return not (open_attempts or overdue or incident)

    await eventually(quiet, timeout_s=90, what="every attempt settled, nothing stuck")


async def judge(simulator: Simulator, pool: Pool, kills: int) -> None:
    ledger = await control(simulator, "GET", "ledger?provider=rfc6749&limit=1")
    found = await counts(pool)
    print(f"{kills} kills, states {found}, outcomes {ledger['outcomes']}")  # noqa: T201
    assert ledger["presented_twice"] == {}
    assert kills >= REPLICAS
    assert found.get("revoked", 0) == 0, "a grant that lives was declared dead"
    unexplained = await pool.fetch(
        "SELECT last_failure FROM connection WHERE status <> 'active' AND last_failure NOT LIKE 'unknown_outcome%'"
        " AND NOT EXISTS (SELECT 1 FROM schedule s WHERE s.connection_id = connection.connection_id"
        " AND s.refresh_at IS NOT NULL)"
    )
    assert unexplained == []
    assert found.get("active", 0) > GRANTS / 2
