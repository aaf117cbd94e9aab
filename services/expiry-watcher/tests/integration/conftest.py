"""The API with real tokens, as other processes would call it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from common.postgres import Pool, open_pool
from common.runtime.clock import SystemClock
from common.testing.api import Api, served
from common.testing.stack import DatabaseFactory
from expiry_watcher.clients.notifier import NoticesClient
from expiry_watcher.clients.oauth_svc import ChecksClient
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.http import diagnose_routes, ladder_routes, token_routes
from expiry_watcher.operations import Deps

LADDER = Ladder.parse(("14d", "7d", "3d", "1d", "6h", "1h"))


@pytest.fixture
async def pool(database: DatabaseFactory) -> AsyncIterator[Pool]:
    pool = await open_pool(await database("expiry_watcher"), application_name="test")
    yield pool
    await pool.close()


@pytest.fixture
def deps(pool: Pool) -> Deps:
    return Deps(pool=pool, ladder=LADDER, public_url="http://gateway.test")


@pytest.fixture
async def notices_url() -> str:
    """Where the notifier would be; nobody answers there."""
    return "http://127.0.0.1:9"


@pytest.fixture
async def oauth_url() -> str:
    """Where oauth-svc would be; nobody answers there."""
    return "http://127.0.0.1:9"


@pytest.fixture
async def api(deps: Deps, notices_url: str, oauth_url: str) -> AsyncIterator[Api]:
    clock = SystemClock()
    async with aiohttp.ClientSession() as http:
        routes = [
            ladder_routes(deps, clock),
            diagnose_routes(deps, clock, NoticesClient(http, notices_url), ChecksClient(http, oauth_url)),
            token_routes(deps, clock),
        ]
        async with served(routes, title="expiry-watcher") as api:
            yield api


Stories = Callable[..., Any]
