"""Urgent events that do not wait for the relay, on a real PostgreSQL and a real Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from common.contracts import DetectedBy, Event, EventBody, RevocationCause, TokenKind, TokenRef, TokenRevokedV1
from common.kafka import EventProducer, KafkaSettings, Record, TopicReader
from common.outbox import Express, Relay, enqueue
from common.outbox.express import MOST_WAITING
from common.postgres import open_pool, transaction
from common.runtime import tasks
from common.runtime.errors import RetryableError
from common.runtime.ids import new_id
from common.testing import eventually
from common.testing.processes.ports import choose_port
from common.testing.stack import DatabaseFactory, KafkaForTest

NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
TOPIC = "token.revoked"


def revoked() -> TokenRevokedV1:
    token = TokenRef(
        token_id=new_id(),
        kind=TokenKind.SESSION,
        provider="wevion",
        workspace_id=new_id(),
        owner_user_id=new_id(),
        version=2,
    )
    return TokenRevokedV1(token=token, cause=RevocationCause.ADMIN_FORCED, detected_by=DetectedBy.ADMIN)


def event() -> Event[EventBody]:
    return Event(id=new_id(), time=NOW, source="session-svc", body=revoked())


@asynccontextmanager
async def express(kafka: KafkaForTest) -> AsyncIterator[Express]:
    """One that runs and is connected."""
    producer = EventProducer(kafka.settings)
    made = Express(producer, TOPIC)
    running = asyncio.create_task(made.run())
    try:
        await eventually(lambda: made.ready)
        yield made
    finally:
        await tasks.cancel(running)
        await producer.stop()


async def read(kafka: KafkaForTest, count: int) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(20):
        async for record in TopicReader(kafka.settings, TOPIC):
            found.append(record)
            if len(found) == count:
                break
    return found


async def test_nobody_can_tell_its_copy_from_the_relays(database: DatabaseFactory, kafka: KafkaForTest) -> None:
    pool = await open_pool(await database("common.outbox"), application_name="test")
    producer = EventProducer(kafka.settings)
    try:
        async with express(kafka) as fast:
            async with transaction(pool) as db:
                events = await enqueue(db, [revoked()], source="session-svc", now=NOW)
            fast.send(events)
            (first,) = await read(kafka, 1)
            assert await pool.fetchval("SELECT count(*) FROM outbox") == 1  # the guarantee is untouched
            await Relay(pool, producer).run_once()
            _, second = await read(kafka, 2)
    finally:
        await producer.stop()
        await pool.close()
    assert (first.key, first.value, dict(first.headers)) == (second.key, second.value, dict(second.headers))
    assert dict(first.headers)["ce_id"] == str(events[0].id).encode()


async def test_more_than_it_takes_at_once_is_left_to_the_relay(kafka: KafkaForTest) -> None:
    many, last = [event() for _ in range(MOST_WAITING + 7)], event()
    async with express(kafka) as fast:
        fast.send(many)
        await read(kafka, MOST_WAITING)
        fast.send([last])
        sent = await read(kafka, MOST_WAITING + 1)

    assert {record.key for record in sent} == {one.body.subject() for one in [*many[:MOST_WAITING], last]}


async def test_without_a_broker_it_neither_raises_at_the_caller_nor_sends_old_news_later() -> None:
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{choose_port()}", client_id="test")
    fast = Express(EventProducer(nowhere))

    fast.send([event() for _ in range(MOST_WAITING)])
    fast.send([event()])

    with pytest.raises(RetryableError):  # at the supervisor, who runs it again
        await fast.run()


async def test_what_waited_for_the_broker_is_no_longer_urgent(kafka: KafkaForTest) -> None:
    producer = EventProducer(kafka.settings)
    fast, late, urgent = Express(producer, TOPIC), event(), event()
    fast.send([late])
    running = asyncio.create_task(fast.run())
    try:
        await eventually(lambda: fast.ready)
        fast.send([urgent])
        (sent,) = await read(kafka, 1)
    finally:
        await tasks.cancel(running)
        await producer.stop()

    assert sent.key == urgent.body.subject()
