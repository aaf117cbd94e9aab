"""The API with real tokens, as other processes would call it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.runtime.clock import SystemClock
from common.testing.api import Api, served
from rule_pauser.http import person_routes, rule_routes, settings_routes


@pytest.fixture
async def api(house: Any) -> AsyncIterator[Api]:
    routes = [build(house.deps, SystemClock()) for build in (settings_routes, rule_routes, person_routes)]
    async with served(routes, title="rule-pauser") as api:
        yield api
