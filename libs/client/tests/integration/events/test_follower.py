"""Following on a real Kafka into a real PostgreSQL: repeats, kills, poison, ends in good order."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from common.testing import KafkaForTest, eventually
from wevion_tokens.contracts import (
    Event,
    EventBody,
    TokenEvent,
    TokenIssuedV1,
    TokenRevokedV1,
    encode_body,
    encode_headers,
)
from wevion_tokens.events import Follower
from wevion_tokens.events.postgres import Connection, PostgresInbox
from wevion_tokens.kafka import EventProducer, Outgoing, TopicReader
from wevion_tokens.runtime.errors import PermanentError, RetryableError
from wevion_tokens.telemetry import metrics
from wevion_tokens.testing import example

CONSUMER = Path(__file__).with_name("consumer.py")
TOKENS, ROUNDS = 60, 6

Send = Callable[[Sequence[Event[EventBody]]], Awaitable[None]]


@pytest.fixture
async def dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("common.outbox")


@pytest.fixture
async def pool(dsn: str) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as made:
        await PostgresInbox(made).prepare()
        # no unique key: a second effect would be seen
        await made.execute("CREATE TABLE effect (event_id uuid, token_id uuid, what text, version integer)")
        yield made


@pytest.fixture
async def send(kafka: KafkaForTest) -> AsyncIterator[Send]:
    producer = EventProducer(kafka.settings)

    async def send_all(events: Sequence[Event[EventBody]]) -> None:
        await producer.send_all(
            [
                Outgoing(each.topic, each.body.subject().encode(), encode_body(each.body), encode_headers(each))
                for each in events
            ]
        )

    yield send_all
    await producer.stop()


@pytest.mark.timeout(300)
async def test_killed_again_and_again_every_effect_is_there_once(
    kafka: KafkaForTest, dsn: str, pool: "asyncpg.Pool[asyncpg.Record]", send: Send
) -> None:
    numbers = random.Random(11)  # noqa: S311  which events come again
    sent: list[Event[EventBody]] = []
    for round_ in range(ROUNDS):
        for _ in range(TOKENS):
            token_id = uuid4()
            sent.append(example(TokenIssuedV1, "connected", token_id=token_id, version=1))
            sent.append(example(TokenRevokedV1, "user_removed_app", token_id=token_id, version=2))
        latest = sent[-2 * TOKENS :]
        await send([*latest, *numbers.sample(sent, TOKENS)])  # some of them again
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(CONSUMER), kafka.bootstrap, kafka.prefix, dsn
        )
        done = await pool.fetchval("SELECT count(*) FROM effect")
        wanted = done + (1 if round_ < ROUNDS - 1 else 0) * numbers.randint(1, TOKENS)

        async def worked(wanted: int = wanted, last: bool = round_ == ROUNDS - 1) -> bool:
            count = await pool.fetchval("SELECT count(DISTINCT event_id) FROM effect WHERE what = 'token.revoked'")
            every = await pool.fetchval("SELECT count(*) FROM effect")
            return bool(count == ROUNDS * TOKENS if last else every >= wanted)

        await eventually(worked, 60, what="the consumer works")
        process.kill()
        await process.wait()
    effects = await pool.fetch("SELECT event_id, what, version FROM effect")
    assert len(effects) == len({row["event_id"] for row in effects}), "no effect is there twice"
    revoked = {event.id for event in sent if event.topic == "token.revoked"}
    assert {row["event_id"] for row in effects if row["what"] == "token.revoked"} == revoked
    # A token.issued that was overtaken by its token.revoked has no effect; every other has one.
    assert {row["event_id"] for row in effects} <= {event.id for event in sent}


async def test_an_older_version_never_follows_a_newer_one(
    kafka: KafkaForTest, pool: "asyncpg.Pool[asyncpg.Record]", send: Send
) -> None:
    seen: list[tuple[str, int]] = []
    follower: Follower[Connection] = Follower(kafka.settings, "order", PostgresInbox(pool))

    @follower.on(TokenRevokedV1, TokenIssuedV1)
    async def note(event: Event[TokenEvent], _: Connection) -> None:
        seen.append((event.topic, event.body.aggregate_version()))

    token_id = uuid4()
    newer = example(TokenRevokedV1, token_id=token_id, version=5)
    for event in (newer, example(TokenIssuedV1, token_id=token_id, version=4), newer):
        await follower.handle(event)
    await follower.handle(example(TokenIssuedV1, token_id=token_id, version=6))
    assert seen == [("token.revoked", 5), ("token.issued", 6)]


async def test_the_end_waits_for_what_is_being_handled_and_the_next_member_goes_on(
    kafka: KafkaForTest, pool: "asyncpg.Pool[asyncpg.Record]", send: Send
) -> None:
    begun, go, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    handled: list[UUID] = []

    def follower() -> Follower[Connection]:
        made: Follower[Connection] = Follower(kafka.settings, "graceful", PostgresInbox(pool))

        @made.on(TokenRevokedV1)
        async def slow(event: Event[TokenRevokedV1], _: Connection) -> None:
            begun.set()
            await go.wait()
            handled.append(event.id)

        return made

    events = [example(TokenRevokedV1, token_id=uuid4()) for _ in range(9)]
    await send(events)
    first = asyncio.create_task(follower().run(stop))
    await asyncio.wait_for(begun.wait(), 60)
    stop.set()
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait_for(first, 60)
    assert handled, "what had begun was finished"
    assert len(handled) < len(events), "and nothing more was begun"
    again = asyncio.Event()
    second = asyncio.create_task(follower().run(again))
    await eventually(lambda: len(handled) == len(events), 60, what="the next member handles the rest")
    again.set()
    await asyncio.wait_for(second, 60)
    assert sorted(handled) == sorted(event.id for event in events)


async def test_what_cannot_be_handled_is_put_aside_and_the_rest_goes_on(
    kafka: KafkaForTest, pool: "asyncpg.Pool[asyncpg.Record]", send: Send
) -> None:
    stop, tries = asyncio.Event(), 0
    handled: list[UUID] = []
    follower: Follower[Connection] = Follower(kafka.settings, "poisoned", PostgresInbox(pool))
    bad, away, good = (example(TokenRevokedV1, token_id=uuid4()) for _ in range(3))

    @follower.on(TokenRevokedV1)
    async def handle(event: Event[TokenRevokedV1], _: Connection) -> None:
        nonlocal tries
        if event.id == bad.id:
            raise PermanentError("nobody can handle this one")
        if event.id == away.id and (tries := tries + 1) < 3:
            raise RetryableError("not now")
        handled.append(event.id)

    await send([bad, away, good])
    producer = EventProducer(kafka.settings)
    await producer.send_all([Outgoing("token.revoked", b"x", b"{", (("ce_type", b"wevion.token.revoked.v1"),))])
    await producer.stop()
    running = asyncio.create_task(follower.run(stop))
    await eventually(lambda: sorted(handled) == sorted([away.id, good.id]), 60, what="the good ones are handled")
    await eventually(lambda: follower.ready, 20, what="it is ready")
    reasons: list[str] = []

    async def put_aside() -> bool:
        found = [record async for record in TopicReader(kafka.settings, "token.revoked.dlq").present()]
        reasons[:] = [dict(record.headers)["dlq_reason"].decode() for record in found]
        return len(reasons) == 2

    await eventually(put_aside, 60, what="two dead letters")
    assert any("nobody can handle this one" in reason for reason in reasons)
    assert any("ce_id" in reason for reason in reasons)
    assert metrics.value("wevion_client_events_total", {"group": "poisoned", "effect": "handled"}) == 2
    stop.set()
    await asyncio.wait_for(running, 60)
