"""A receiver of signed webhooks believes what the Standard Webhooks libraries believe, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from provider_simulator.testing import Answer, Client

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
BODY = json.dumps({"type": "notice.opened", "timestamp": "2026-12-01T00:00:00Z", "data": {}}).encode()


async def _post(client: Client, secret: str = SECRET, body: bytes = BODY, **more: str) -> Answer:
    at = str(int(client.world.clock.now()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": at} | more
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + BODY
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    headers = {"webhook-signature": "v1," + base64.b64encode(digest).decode()} | headers
    return await client.ask("POST", "receiver.example/hooks/crm", data=body, headers=headers)


async def _came(client: Client) -> list[dict[str, Any]]:
    came: list[dict[str, Any]] = (await client.sim("GET", "receivers/crm"))["came"]
    return came


async def test_a_signed_message_is_taken_and_a_repeat_is_recognised(client: Client) -> None:
    await client.sim("PUT", "receivers/crm", {"secrets": [SECRET]})
    assert [(await _post(client)).status for _ in range(2)] == [204, 204]
    assert [(each["verified"], each["repeated"]) for each in await _came(client)] == [(True, False), (True, True)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_" + base64.b64encode(b"t" * 32).decode()},
        {"body": BODY + b" "},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
        {"webhook-id": ""},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-signature": ""},
    ],
)
async def test_what_is_not_signed_rightly_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    await client.sim("PUT", "receivers/crm", {"secrets": [SECRET]})
    assert (await _post(client, **wrong)).status == 401
    assert not (await _came(client))[0]["verified"]


async def test_it_answers_as_ordered(client: Client) -> None:
    await client.sim("PUT", "receivers/crm", {"secrets": [SECRET], "status": 429, "retry_after": 7, "body_bytes": 9})
    answer = await _post(client)
    assert (answer.status, answer.headers["Retry-After"], answer.text) == (429, "7", "x" * 9)


async def test_nobody_else_is_there(client: Client) -> None:
    assert (await client.ask("POST", "receiver.example/hooks/other", data=b"")).status == 404
