"""A reader of whole topics: nothing that was written is left out, also where a topic grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from common.kafka import TopicReader
from common.runtime import tasks
from common.testing.eventually import eventually

TOPIC = "token.state"
DOUBLED = 6


@asynccontextmanager
async def writer(kafka: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def grow(kafka: Any) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        name = kafka.settings.wire_name(TOPIC)
        await admin.create_partitions({name: NewPartitions(DOUBLED)})

        async def grown() -> bool:
            # A broker answers with its old metadata for a moment after it took the order.
            (topic,) = await admin.describe_topics([name])
            return len(topic["partitions"]) == DOUBLED

        await eventually(grown, what="the broker tells of the new partitions")
    finally:
        await admin.close()


@pytest.mark.parametrize("start", ["earliest", "latest"])
async def test_partitions_that_are_added_are_read_from_their_beginning_before_it_is_caught_up_again(
    kafka: Any, start: Literal["earliest", "latest"]
) -> None:
    name = kafka.settings.wire_name(TOPIC)
    reader = TopicReader(kafka.settings, TOPIC, start=start)
    seen: dict[bytes | None, bool] = {}

    async def follow() -> None:
        async for record in reader:
            seen[record.value] = reader.caught_up.is_set()

    following = asyncio.create_task(follow())
    async with asyncio.timeout(20):
        await reader.caught_up.wait()
    await grow(kafka)
    async with writer(kafka) as producer:
        for partition in range(DOUBLED):
            await producer.send_and_wait(name, b"in %d" % partition, partition=partition, key=b"k")
    everything = {b"in %d" % partition for partition in range(DOUBLED)}
    assert await eventually(lambda: set(seen) == everything, 30)
    assert not any(seen[b"in %d" % partition] for partition in range(3, DOUBLED)), "caught up before it had read them"
    assert await eventually(reader.caught_up.is_set, 10)
    await tasks.cancel(following)


async def test_a_reader_goes_on_from_where_it_was_when_partitions_are_added(kafka: Any) -> None:
    name = kafka.settings.wire_name(TOPIC)
    reader = TopicReader(kafka.settings, TOPIC)
    seen: list[bytes | None] = []

    async def follow() -> None:
        async for record in reader:
            seen.append(record.value)  # noqa: PERF401  they are looked at as they come

    async with writer(kafka) as producer:
        await producer.send_and_wait(name, b"before", partition=0, key=b"a")
        following = asyncio.create_task(follow())
        async with asyncio.timeout(20):
            await reader.caught_up.wait()
        await grow(kafka)
        await producer.send_and_wait(name, b"after", partition=0, key=b"b")
        await producer.client.force_metadata_update()
        await producer.send_and_wait(name, b"new", partition=DOUBLED - 1, key=b"c")
    assert await eventually(lambda: {b"after", b"new"} <= set(seen), 30)
    assert sorted(value for value in seen if value) == [b"after", b"before", b"new"]
    await tasks.cancel(following)
