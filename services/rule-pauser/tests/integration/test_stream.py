"""The consumer on a real Kafka: three deliveries, poison, and a database that starts late."""

import asyncio
from collections.abc import Callable
from typing import Any

from common.contracts import Event, EventBody, TokenStateV1, TokenStatus, encode_body, encode_headers
from common.kafka import EventConsumer, EventProducer, Outgoing, TopicReader
from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from common.runtime.tasks import cancel
from common.testing.eventually import eventually
from common.testing.stack import KafkaForTest
from rule_pauser.consumers import GROUP, TOPICS, handler
from rule_pauser.operations import catch_up

Grants = Callable[..., Any]
PATIENCE_S = 60


def record(event: Event[EventBody]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


async def test_every_event_three_times_and_poison_between(house: Any, grant: Grants, kafka: KafkaForTest) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    issued, revoked = meta.issued(), meta.revoked()
    poison = Outgoing("token.revoked", str(meta.token_id).encode(), b"{", encode_headers(revoked))
    producer = EventProducer(kafka.settings)
    consumer = EventConsumer(kafka.settings, GROUP, TOPICS, handler(house.deps, SystemClock()), producer)
    task = asyncio.create_task(consumer.run())
    try:
        await producer.send_all([record(issued)] * 3 + [poison] + [record(revoked)] * 3)

        async def paused() -> bool:
            await house.settle()
            return bool(await house.paused(rule))

        await eventually(paused, PATIENCE_S, what="the rule is paused")
        async with asyncio.timeout(PATIENCE_S):
            async for letter in TopicReader(kafka.settings, "token.revoked.dlq"):
                assert b"revoked" in dict(letter.headers)["dlq_reason"]
                break
    finally:
        await cancel(task)
        await producer.stop()
    assert await house.sent() == [("rule.paused", rule)]


async def test_a_database_that_starts_late_learns_of_old_deaths(house: Any, grant: Grants, kafka: KafkaForTest) -> None:
    meta = grant()
    meta.issued()
    meta.revoked()
    state = TokenStateV1(token=meta.ref(), status=TokenStatus.REVOKED, since=meta.at)
    producer = EventProducer(kafka.settings)
    try:
        event = Event(id=new_id(), time=meta.at, source="oauth-svc", body=state)
        await producer.send_all([record(event), Outgoing("token.state", b"purged", None)])
    finally:
        await producer.stop()
    now = SystemClock().now()
    assert await catch_up(house.deps, kafka.settings, now) == 1
    assert await catch_up(house.deps, kafka.settings, now) == 0, "a database that knows something does not ask again"
    assert await house.paused(await house.define(*meta.account_ids))
