"""Golden answers of every platform -> class, for every row of the provider facts; and what no answer may ever do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauth_svc.core.failure import Failure, Verdict
from oauth_svc.core.grant import Secrets
from oauth_svc.providers.base import PlatformError, Provider
from oauth_svc.providers.builtin import BUILTIN
from oauth_svc.providers.registry import ProvidersFile, build_providers
from oauth_svc.providers.wire import Answer, Request

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRETS = Secrets("at", "rt", {"client_id": "c", "client_secret": "s", "username": "u", "password": "p"})


class Replay:
    """Stands where the network is: gives one recorded answer, and counts the calls."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls = 0

    async def send(self, _: Request) -> Answer:
        self.calls += 1
        return self._answer


def provider_of(name: str) -> Provider:
    settings: dict[str, Any] = {"client_id": "c", "client_secret": "s"}
    if name not in BUILTIN:
        settings |= {"authorize_url": "https://a.example/a", "token_url": "https://a.example/t"}
        settings |= {"rotation": "single_use"}
    return build_providers(ProvidersFile.model_validate({"providers": {name: settings}}))[name]


PROVIDERS = {path.stem: provider_of(path.stem) for path in sorted(GOLDEN.glob("*.json"))}
ROWS = [
    pytest.param(name, row, id=f"{name}: {row['name']}")
    for name in PROVIDERS
    for row in json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
]


async def refused(provider: Provider, answer: Answer) -> tuple[Failure | None, int]:
    """What a refresh that got this answer is taken for, and how many calls it made."""
    wire = Replay(answer)
    provider._wire = wire  # type: ignore[attr-defined]
    try:
        await provider.refresh(SECRETS, NOW)
    except PlatformError as error:
        return error.failure, wire.calls
    return None, wire.calls


def answer_of(row: Mapping[str, Any]) -> Answer:
    body = row["raw"] if "raw" in row else json.dumps(row["body"])
    return Answer(row["status"], row.get("headers", {}), body.encode())


@pytest.mark.parametrize(("name", "row"), ROWS)
async def test_golden_answers(name: str, row: dict[str, Any]) -> None:
    provider = PROVIDERS[name]
    answer = answer_of(row)
    if row["via"] == "token":
        failure, calls = await refused(provider, answer)
        assert calls == 1, "no layer repeats a token request"
    else:
        failure = provider.judge(answer)
    assert (failure.verdict.value if failure else "none") == row["class"]
    if failure is None:
        return
    if "code" in row:
        assert failure.code == row["code"]
    if "cause" in row:
        assert failure.cause is not None
        assert failure.cause.value == row["cause"]
    if "retry_after_s" in row:
        assert failure.retry_after_s == row["retry_after_s"]


def test_every_built_in_provider_has_golden_answers() -> None:
    assert set(BUILTIN) <= set(PROVIDERS)


bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b'{"error":"invalid_grant"}',
            b'{"error":{"code":190,"error_subcode":458}}',
            b'{"code":40105}',
            b'{"error":"invalid_client"}',
            b'{"error":{"code":"account_invalid"}}',
            b'{"error":{"details":[{"errors":[{"errorCode":{"a":"OAUTH_TOKEN_REVOKED"}}]}]}}',
        ]
    ),
)


@given(st.sampled_from(sorted(PROVIDERS)), st.sampled_from([408, 425, 429, 500, 502, 503, 504, 599]), bodies)
async def test_no_429_and_no_5xx_ever_ends_a_grant(name: str, status: int, body: bytes) -> None:
    provider = PROVIDERS[name]
    answer = Answer(status, {}, body)
    failure, _ = await refused(provider, answer)
    judged = provider.judge(answer)
    for found in (failure, judged):
        if status in (408, 425) and found is not None and body.startswith(b"{"):
            continue  # a body that names a code decides before these statuses
        assert found is None or found.verdict is not Verdict.REAUTHORIZE


@given(st.sampled_from(sorted(PROVIDERS)), st.integers(200, 599), st.binary(max_size=80))
async def test_a_body_that_is_no_json_ends_nothing(name: str, status: int, body: bytes) -> None:
    if body.strip().startswith((b"{", b"[")) or status == 401:
        return
    failure, _ = await refused(PROVIDERS[name], Answer(status, {}, body))
    assert failure is None or failure.verdict is not Verdict.REAUTHORIZE
