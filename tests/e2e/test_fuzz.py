"""Every service, fuzzed by its own OpenAPI document as an owner and as a backend service: never a 5xx."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from devstack.browser import Browser
from devstack.child_stack import ChildStack
from devstack.services import DATABASES

EXAMPLES = 4  # of each operation, mode and caller: some 1,500 calls in all
SERVER_ERRORS_FROM = 500


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildStack]:
    """A stack of this module's own: fuzzing leaves settings and rules behind that no story expects."""
    running = ChildStack.start(tmp_path_factory.mktemp("fuzzed"))
    yield running
    running.stop()


async def owner_jwt(demo: dict[str, Any]) -> str:
    owner = next(user for user in demo["users"] if user["role"] == "owner")
    async with Browser(demo["gateway_url"]) as browser:
        await browser.sign_in(owner["email"], owner["password"])
        return await browser.jwt()


async def service_jwt(demo: dict[str, Any]) -> str:
    client = demo["service_client"]
    headers = {"Authorization": aiohttp.encode_basic_auth(client["id"], client["secret"])}
    form = {"grant_type": "client_credentials"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(client["token_url"], data=form, headers=headers) as answer,
    ):
        token: str = (await answer.json())["access_token"]
        return token


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("service", sorted(DATABASES))
def test_nothing_that_a_document_allows_or_forbids_breaks_a_service(
    fuzzed: ChildStack, service: str, mode: GenerationMode
) -> None:
    demo = fuzzed.demo
    api: Any = schemathesis.openapi.from_url(f"{demo['services'][service]}/openapi.json")
    tokens = [asyncio.run(owner_jwt(demo)), asyncio.run(service_jwt(demo))]
    seen: set[int] = set()
    for operation in [result.ok() for result in api.get_all_operations()]:
        for token in tokens:
            fuzz(operation, mode, token, seen)
    assert seen & {200, 204, 302, 303, 400, 404}, f"somebody was let in: {seen}"


def fuzz(operation: Any, mode: GenerationMode, token: str, seen: set[int]) -> None:
    """A few calls of one operation by one caller."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {token}"}, timeout=20, allow_redirects=False)
        seen.add(answer.status_code)
        assert answer.status_code < SERVER_ERRORS_FROM, f"{case.method} {case.path}: {answer.text[:500]}"

    with contextlib.suppress(Unsatisfiable):  # an operation without parameters has nothing that could be wrong
        check()
