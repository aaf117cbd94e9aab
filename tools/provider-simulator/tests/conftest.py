"""A simulator of its own for each test, on free ports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from provider_simulator.app import Simulator
from provider_simulator.settings import Settings
from provider_simulator.testing import PUBLIC_URL, Client, Receiver


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Settings(port=0, control_port=0, smtp_port=0, public_url=PUBLIC_URL)) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Client(simulator, session)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    box = Receiver("", [])

    async def take(request: web.BaseRequest) -> web.Response:
        box.got.append((dict(request.headers), await request.read()))
        box.came.set()
        if box.body is not None:
            return web.json_response(box.body, status=box.status)
        return web.Response(status=box.status)

    runner = web.ServerRunner(web.Server(take), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    box.url = f"http://{host}:{port}/hook"
    yield box
    await runner.cleanup()
