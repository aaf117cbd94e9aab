"""A stop that loses no request: first it is said, then it is done."""

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from common.testing import eventually
from common.testing.processes.ports import choose_port

if TYPE_CHECKING:
    from testbed import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_after_sigterm_it_goes_on_while_it_says_that_it_is_not_ready(world: "World") -> None:
    """Whoever routes by readiness asks every few seconds, and sends requests until it has heard the answer."""
    port, operators = choose_port(), choose_port()
    kafka = world.system.kafka
    settings = {
        "HTTP_PORT": port,
        "OPERATORS_PORT": operators,
        "SESSION_URL": world.identity_url,
        "JWKS_URL": f"{world.identity_url}/.well-known/jwks.json",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_TOPIC_PREFIX": kafka.prefix,
        "LAME_DUCK_S": 2,
        "DRAIN_S": 1,
    }
    environment = {"PATH": os.environ["PATH"]} | {f"WEVION_{name}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", "run", env=environment)

    async def status(url: str) -> tuple[int, str]:
        async with world.http.get(url) as answer:
            return answer.status, answer.headers.get("Connection", "")

    async def ready() -> bool:
        try:
            return await status(f"http://127.0.0.1:{operators}/readyz") == (200, "")
        except aiohttp.ClientConnectionError:
            return False

    async def unready() -> bool:
        return (await status(f"http://127.0.0.1:{operators}/readyz"))[0] == 503

    try:
        await eventually(ready, 30, what="the gateway is ready")
        process.send_signal(signal.SIGTERM)
        await eventually(unready, 2, what="it says that it is not ready")
        for _ in range(20):
            assert await status(f"http://127.0.0.1:{port}/.well-known/jwks.json") == (200, "close")
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
