"""`token.state` was lost, or the database was restored: what is published again, and what is not."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

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
from common.testing.stack import KafkaForTest
from session_svc.operations.republish import republish

if TYPE_CHECKING:
    from testbed.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)


async def _sessions(world: "World", user_id: UUID) -> dict[UUID, int]:
    rows = await world.pool.fetch("SELECT session_id, version FROM sessions WHERE user_id = $1", user_id)
    return {row["session_id"]: row["version"] for row in rows}


async def test_sessions_are_told_again_but_an_end_is_not_undone(world: "World", kafka: KafkaForTest) -> None:
    person = await world.person()
    for _ in range(3):
        await world.signed_in(person)
    (lost, behind, over), before = (
        sorted(await _sessions(world, person.user_id)),
        await _sessions(world, person.user_id),
    )
    producer = EventProducer(kafka.settings)
    for session_id, ahead, status in ((behind, 5, TokenStatus.ACTIVE), (over, 1, TokenStatus.REVOKED)):
        token = TokenRef(
            token_id=session_id,
            kind=TokenKind.SESSION,
            provider="wevion",
            workspace_id=new_id(),
            owner_user_id=person.user_id,
            version=before[session_id] + ahead,
        )
        ended = status is TokenStatus.REVOKED
        body = TokenStateV1(
            token=token,
            status=status,
            since=NOW,
            cause=RevocationCause.ADMIN_FORCED if ended else None,
            detected_by=DetectedBy.ADMIN if ended else None,
        )
        event = Event(id=new_id(), time=NOW, source="session-svc", body=body)
        record = Outgoing(body.TOPIC, body.subject().encode(), encode_body(body), encode_headers(event))
        await producer.send_all([record])
    await producer.stop()
    keys = world.deps().keys
    await keys.load(world.clock.now())
    done = await republish(world.pool, keys, kafka.settings, NOW, lambda _: None)
    after = await _sessions(world, person.user_id)
    assert after == {lost: before[lost], behind: before[behind] + 6, over: before[over]}
    assert done.held_back == 1
    assert done.raised == 1
    assert done.sent >= 2
