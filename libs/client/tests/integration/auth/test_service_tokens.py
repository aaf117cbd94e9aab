"""A service's own token: asked for once, renewed early, and never printed."""

import asyncio
from base64 import b64encode
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from common.auth import ServiceTokens
from common.runtime.errors import PermanentError, RetryableError
from common.testing.eventually import eventually


@pytest.fixture
def tokens(issuer: Any, http: aiohttp.ClientSession) -> ServiceTokens:
    return ServiceTokens(http, f"{issuer.url}/token", "rule-pauser", SecretStr("s3cret-of-ours"), scope="tokens:read")


async def test_one_request_serves_everybody(tokens: ServiceTokens, issuer: Any) -> None:
    assert set(await asyncio.gather(*(tokens.token() for _ in range(20)))) == {"t-1"}
    assert await tokens.headers() == {"Authorization": "Bearer t-1"}
    ((form, authorization),) = issuer.token_requests
    assert form == {"grant_type": "client_credentials", "scope": "tokens:read"}
    assert authorization == "Basic " + b64encode(b"rule-pauser:s3cret-of-ours").decode()


async def test_it_is_renewed_in_the_background_while_the_old_one_serves(tokens: ServiceTokens, issuer: Any) -> None:
    await tokens.token()
    tokens._renew_at = 0
    issuer.token_answer = (200, {"access_token": "t-2", "expires_in": 3600})
    assert await tokens.token() == "t-1"
    assert await eventually(lambda: tokens._token is not None and tokens._token.get_secret_value() == "t-2")
    assert await tokens.token() == "t-2"
    assert len(issuer.token_requests) == 2


@pytest.mark.parametrize("answer", [(503, {}), (401, {}), (200, "junk"), (200, [])])
async def test_a_failed_renewal_harms_nobody(tokens: ServiceTokens, issuer: Any, answer: tuple[int, Any]) -> None:
    await tokens.token()
    tokens._renew_at = 0
    issuer.token_answer = answer
    for _ in range(5):
        assert await tokens.token() == "t-1"
    await eventually(lambda: len(issuer.token_requests) == 2)
    await eventually(lambda: tokens._fetching is None)


async def test_a_used_up_token_is_not_handed_out(tokens: ServiceTokens, issuer: Any) -> None:
    issuer.token_answer = (200, {"access_token": "short", "expires_in": 0})
    await tokens.token()
    issuer.token_answer = (200, {"access_token": "t-2", "expires_in": 3600})
    assert await tokens.token() == "t-2"
    tokens.drop()
    assert await tokens.token() == "t-2"
    assert len(issuer.token_requests) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_scope"}), PermanentError),
        ((401, {"error": "invalid_client"}), PermanentError),
        ((500, {}), RetryableError),
        ((429, {}), RetryableError),
        ((200, "<html>"), RetryableError),
        ((200, []), RetryableError),
        ((200, {}), RetryableError),
        ((200, {"access_token": ""}), RetryableError),
        ((200, {"access_token": "x", "expires_in": "soon"}), RetryableError),
    ],
)
async def test_refusals(tokens: ServiceTokens, issuer: Any, answer: tuple[int, Any], error: type[Exception]) -> None:
    issuer.token_answer = answer
    with pytest.raises(error) as raised:
        await tokens.token()
    assert "s3cret" not in str(raised.value) + repr(raised.value.__cause__)
    issuer.token_answer = (200, {"access_token": "t-9"})
    assert await tokens.token() == "t-9"


async def test_an_issuer_that_is_away(http: aiohttp.ClientSession) -> None:
    with pytest.raises(RetryableError, match="does not answer"):
        await ServiceTokens(http, "http://127.0.0.1:1/token", "a", "b").token()


def test_it_does_not_show_its_secret(tokens: ServiceTokens) -> None:
    assert "s3cret" not in repr(tokens) + str(vars(tokens))
