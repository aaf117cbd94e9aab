"""`token.state` was lost, or the database was restored: what is published again, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts import DetectedBy, RevocationCause, TokenStateV1, TokenStatus, encode_body, encode_headers
from common.kafka import EventProducer, KafkaSettings, Outgoing
from common.runtime import ids
from oauth_svc import store
from oauth_svc.operations.republish import republish
from wevion_tokens.contracts.envelope import Event

if TYPE_CHECKING:
    from tests.conftest import Stage

    from common.testing.stack import KafkaForTest
    from oauth_svc.core.connection import Connection

PROVIDER = "rfc6749"


async def _only(stage: Stage) -> Connection:
    async with stage.pool.acquire() as db:
        (connection_id,) = await store.connections.ids_after(db, None, 10)
        return (await store.connections.lock(db, [connection_id]))[connection_id]


async def _publish(settings: KafkaSettings, stage: Stage, one: Connection, version: int, status: TokenStatus) -> None:
    over = status is TokenStatus.REVOKED
    body = TokenStateV1(
        token=one.ref.model_copy(update={"version": version}),
        status=status,
        since=stage.clock.now(),
        cause=RevocationCause.USER_REVOKED if over else None,
        detected_by=DetectedBy.WEBHOOK if over else None,
    )
    event = Event(id=ids.new_id(), time=stage.clock.now(), source="oauth-svc", body=body)
    producer = EventProducer(settings)
    await producer.send_all([Outgoing(body.TOPIC, body.subject().encode(), encode_body(body), encode_headers(event))])
    await producer.stop()


async def _states(stage: Stage) -> list[int]:
    rows = await stage.pool.fetch("SELECT aggregate_version FROM outbox WHERE topic = 'token.state' ORDER BY id")
    return [row["aggregate_version"] for row in rows]


async def test_a_lost_topic_gets_every_state_at_its_version(stage: Stage, kafka: KafkaForTest) -> None:
    await stage.connect(stage.person(), PROVIDER, "avery", ())
    before = await _only(stage)
    await stage.pool.execute("DELETE FROM outbox")
    done = await republish(stage.deps, kafka.settings, lambda _: None)
    assert (done.sent, done.raised, done.held_back) == (1, 0, 0)
    assert await _states(stage) == [before.version]
    assert (await _only(stage)).version == before.version


async def test_versions_continue_above_what_was_published(stage: Stage, kafka: KafkaForTest) -> None:
    await stage.connect(stage.person(), PROVIDER, "avery", ())
    one = await _only(stage)
    await _publish(kafka.settings, stage, one, one.version + 7, TokenStatus.ACTIVE)
    await stage.pool.execute("DELETE FROM outbox")
    done = await republish(stage.deps, kafka.settings, lambda _: None)
    assert (done.sent, done.raised, done.held_back) == (1, 1, 0)
    assert await _states(stage) == [one.version + 8]
    assert (await _only(stage)).version == one.version + 8


async def test_an_end_that_was_published_is_not_undone(stage: Stage, kafka: KafkaForTest) -> None:
    await stage.connect(stage.person(), PROVIDER, "avery", ())
    one = await _only(stage)
    await _publish(kafka.settings, stage, one, one.version + 1, TokenStatus.REVOKED)
    await stage.pool.execute("DELETE FROM outbox")
    done = await republish(stage.deps, kafka.settings, lambda _: None)
    assert (done.sent, done.raised, done.held_back) == (0, 0, 1)
    assert await _states(stage) == []
