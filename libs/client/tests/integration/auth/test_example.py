"""The example of docs/examples, run as its readers would run it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.contracts import (
    DetectedBy,
    Event,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenStateV1,
    TokenStatus,
    encode_body,
    encode_headers,
)
from common.kafka import EventProducer, Outgoing
from common.runtime.ids import new_id
from common.testing.eventually import eventually
from common.testing.processes.ports import choose_port

EXAMPLE = Path(__file__).parents[5] / "docs" / "examples" / "verify_service.py"


@pytest.fixture
async def service(issuer: Any, kafka: Any, unused_tcp_port: int) -> AsyncIterator[str]:
    arguments = ["http://issuer.test", f"{issuer.url}/jwks", kafka.bootstrap, kafka.prefix, str(unused_tcp_port)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), *arguments)
    yield f"http://127.0.0.1:{unused_tcp_port}"
    process.terminate()
    async with asyncio.timeout(15):
        assert await process.wait() == 0


async def test_it_lets_users_in_until_their_session_is_revoked(
    issuer: Any, kafka: Any, http: aiohttp.ClientSession, service: str
) -> None:
    async def get(path: str, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with http.get(service + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def ready() -> bool:
        try:
            return (await get("/readyz"))[0] == 200
        except aiohttp.ClientConnectionError:
            return False

    await eventually(ready, 30, what="the example is ready")
    user, session, now = new_id(), new_id(), datetime.now(UTC)
    times = {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 3600}
    token = issuer.sign(sub=str(user), sid=str(session), role="owner", **times)
    assert await get("/whoami", token) == (200, {"user": str(user), "role": "owner"})
    assert (await get("/whoami"))[1]["code"] == "token_missing"
    assert (await get("/whoami", token[:-8] + "AAAAAAAA"))[1]["code"] == "token_invalid"
    assert (await get("/whoami", issuer.sign(aud="other", **times)))[1]["code"] == "token_invalid"

    reference = TokenRef(
        token_id=session,
        kind=TokenKind.SESSION,
        provider="wevion",
        workspace_id=new_id(),
        owner_user_id=user,
        version=2,
    )
    body = TokenStateV1(
        token=reference,
        status=TokenStatus.REVOKED,
        since=now,
        cause=RevocationCause.ADMIN_FORCED,
        detected_by=DetectedBy.ADMIN,
    )
    event = Event(id=new_id(), time=now, source="session-svc", body=body, traceparent=None)
    producer = EventProducer(kafka.settings)
    record = Outgoing(
        topic="token.state", key=body.subject().encode(), value=encode_body(body), headers=tuple(encode_headers(event))
    )
    try:
        await producer.send_all([record])
    finally:
        await producer.stop()

    async def refused() -> Any:
        status, said = await get("/whoami", token)
        return said if status == 401 else None

    said = await eventually(refused, 10, what="the revoked session is refused")
    assert (said["code"], said["cause"], said["token_kind"]) == ("session_revoked", "admin_forced", "session")


async def test_it_lets_nobody_in_before_it_knows_who_was_signed_out(
    issuer: Any, http: aiohttp.ClientSession, unused_tcp_port: int
) -> None:
    """Kafka is away from the start, and nothing in front of the service looks at /readyz."""
    nowhere = f"127.0.0.1:{choose_port()}"
    arguments = ["http://issuer.test", f"{issuer.url}/jwks", nowhere, "", str(unused_tcp_port)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), *arguments)
    now = int(datetime.now(UTC).timestamp())
    token = issuer.sign(sub=str(new_id()), sid=str(new_id()), role="owner", iat=now, exp=now + 3600)

    async def asked() -> Any:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.get(f"http://127.0.0.1:{unused_tcp_port}/whoami", headers=headers) as answer:
                return answer.status, (await answer.json(content_type=None)).get("code")
        except aiohttp.ClientConnectionError:
            return None

    try:
        assert await eventually(asked, 30, what="the example answers") == (503, "revocations_unknown")
    finally:
        process.terminate()
        async with asyncio.timeout(15):
            assert await process.wait() == 0
