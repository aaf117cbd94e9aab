"""On real Kafka: events in, notices out; what cannot be read is put aside and the consumer goes on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.contracts import Event, EventBody, IssuedHow, TokenIssuedV1, encode_body, encode_headers
from common.kafka import EventConsumer, EventProducer, Outgoing
from common.outbox import Relay
from common.runtime.ids import new_id
from common.testing import eventually
from notifier.consumers import TOPICS, handler


def _record(event: Event[EventBody]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


@pytest.fixture
async def producer(world: Any, kafka: Any) -> AsyncIterator[EventProducer]:
    producer = EventProducer(kafka.settings)
    consumer = EventConsumer(kafka.settings, "notifier", TOPICS, handler(world.deps, world.clock), producer)
    relay = Relay(world.deps.pool, producer)
    tasks = [asyncio.create_task(consumer.run()), asyncio.create_task(relay.run())]
    yield producer
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await producer.stop()


async def test_three_deliveries_of_each_event_are_one_notice(world: Any, producer: EventProducer) -> None:
    from common.contracts import DetectedBy, RevocationCause, TokenRevokedV1  # noqa: PLC0415

    token = world.token(world.people["mia"])
    await world.know_people_of()
    issued = TokenIssuedV1(token=token, how=IssuedHow.CONNECT)
    revoked = TokenRevokedV1(
        token=token.model_copy(update={"version": 2}),
        cause=RevocationCause.USER_REVOKED,
        detected_by=DetectedBy.WEBHOOK,
    )
    records = [
        _record(Event(id=new_id(), time=world.clock.now(), source="oauth-svc", body=body)) for body in (issued, revoked)
    ]
    poison = Outgoing("token.revoked", b"x", b"{not json", records[1].headers)
    unknown = Outgoing("token.revoked", b"x", b"{}", (("ce_type", b"wevion.token.revoked.v9"),))
    await producer.send_all([poison, unknown, *records, *records, *records])

    async def told() -> bool:
        return bool(await world.count("SELECT count(*) FROM notice") == 3)

    async def relayed() -> bool:
        return bool(await world.count("SELECT count(*) FROM outbox") == 0)

    await eventually(told, 30)
    await producer.send_all([*records, *records])
    await eventually(relayed, 30)
    await world.later()
    assert len(world.mailbox.mails) == 3
    assert await world.count("SELECT count(*) FROM notice") == 3
