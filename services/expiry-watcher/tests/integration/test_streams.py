"""The consumer on a real Kafka: what arrives, what is put aside, what a restart repeats."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from common.contracts import Event, EventBody, IssuedHow, TokenAccountsV1, TokenStatus, encode_body, encode_headers
from common.kafka import DeadLetterLimit, EventConsumer, EventProducer, Outgoing, TopicReader
from common.postgres import Pool, open_pool
from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from common.runtime.tasks import cancel
from common.telemetry import metrics
from common.testing.eventually import eventually
from common.testing.stack import DatabaseFactory, KafkaForTest
from expiry_watcher.consumers import GROUP, TOPICS, followed
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.core.tracked import TokenScope
from expiry_watcher.operations import Deps, announce_due
from expiry_watcher.store import queries

Stories = Callable[..., Any]
PATIENCE_S = 40


@pytest.fixture
async def deps(database: DatabaseFactory) -> AsyncIterator[Deps]:
    pool = await open_pool(await database("expiry_watcher"), application_name="test")
    yield Deps(pool=pool, ladder=Ladder.parse(("14d", "7d")))
    await pool.close()


@pytest.fixture
async def producer(kafka: KafkaForTest) -> AsyncIterator[EventProducer]:
    producer = EventProducer(kafka.settings)
    yield producer
    await producer.stop()


@asynccontextmanager
async def running(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, limit: DeadLetterLimit | None = None
) -> AsyncIterator[EventConsumer]:
    handler = followed(deps, SystemClock())
    consumer = EventConsumer(kafka.settings, GROUP, TOPICS, handler, producer, session_timeout_s=6, limit=limit)
    task = asyncio.create_task(consumer.run())
    try:
        await eventually(lambda: consumer.ready, PATIENCE_S, what="the consumer has partitions")
        yield consumer
    finally:
        await cancel(task)


def record(event: Event[EventBody]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


async def version_of(pool: Pool, token: Any) -> int:
    found = await queries.one(pool, TokenScope(None, None), token.token_id, now=datetime.now(UTC))
    return 0 if found is None else found.version


async def test_events_of_all_topics_feed_the_inventory_and_bad_ones_are_put_aside(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, story: Stories
) -> None:
    token, purged = story(), story()
    expires_at = datetime.now(UTC) + timedelta(days=30)
    good = [token.issued(expires_at), token.refreshed(expires_at + timedelta(days=1)), token.revoked()]
    unknown = token.issued(expires_at)
    async with running(deps, kafka, producer) as consumer:
        await producer.send_all(
            [
                Outgoing("token.issued", b"key", b"\xff\xfe not json", encode_headers(good[0])),
                Outgoing("token.issued", b"key", b"{}", ()),
                Outgoing(
                    "token.issued",
                    b"key",
                    encode_body(unknown.body),
                    tuple(
                        (name, b"wevion.token.issued.v2" if name == "ce_type" else value)
                        for name, value in encode_headers(unknown)
                    ),
                ),
                *(record(event) for event in good),
                record(purged.issued(expires_at)),
                Outgoing("token.state", b"not a token id", None),
            ]
        )
        await eventually(lambda: _at_version(deps.pool, token, 3), PATIENCE_S, what="the revocation has arrived")
        await eventually(lambda: _at_version(deps.pool, purged, 1), PATIENCE_S)
        await producer.send_all([Outgoing("token.state", str(purged.token_id).encode(), None)])
        await eventually(lambda: _at_version(deps.pool, purged, 0), PATIENCE_S, what="the tombstone has arrived")
        assert consumer.ready
    reasons = [reason for _, reason in await dead_letters(kafka, 4, "token.issued.dlq", "token.state.dlq")]
    assert any("ce_type" in reason for reason in reasons)
    assert any("wevion.token.issued.v2" in reason for reason in reasons)
    assert any("Invalid JSON" in reason for reason in reasons)
    assert any("tombstone" in reason for reason in reasons)


@pytest.mark.parametrize("seed", range(2))
async def test_three_times_out_of_order_and_from_a_zombie_relay_is_one_warning(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, story: Stories, seed: int
) -> None:
    """A relay that was thought dead says old things again, after the new ones; one warning, of the newest end."""
    shuffle = random.Random(seed).shuffle  # noqa: S311  an order that has to be repeatable
    now = datetime.now(UTC)
    token, gone = story(), story()
    old = [token.issued(now + timedelta(days=13)), token.refreshed(now + timedelta(days=40))]
    old += [token.state(TokenStatus.DEGRADED, expires_at=now + timedelta(days=40)), token.revoked()]
    old += [gone.issued(now + timedelta(days=5)), gone.revoked()]
    new = [token.issued(now + timedelta(days=6), how=IssuedHow.REAUTHORIZE)]
    new.append(token.state(TokenStatus.ACTIVE, expires_at=now + timedelta(days=6)))
    async with running(deps, kafka, producer):
        for number, told in enumerate((new, old)):
            records = [record(event) for event in told * 3]
            shuffle(records)
            last: dict[Any, Outgoing] = {}
            for each in (token, gone):
                last |= last_of_each_topic(story, str(each.token_id).encode(), now)
            await producer.send_all(records)
            await producer.send_all(list(last.values()))
            for marker in last:
                await eventually(lambda: _at_version(deps.pool, marker, 1), PATIENCE_S)  # noqa: B023
            for _ in range(3):
                await announce_due(deps, now, 500)
            assert await said(deps.pool, token) == [("7d", 6)], number
    assert await said(deps.pool, gone) == []
    assert await version_of(deps.pool, token) == 4


async def test_each_topic_puts_aside_what_cannot_be_read_and_reads_a_newer_minor_version(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, story: Stories
) -> None:
    now = datetime.now(UTC)
    tokens = last_of_each_topic(story, b"any", now)
    bad: list[Outgoing] = []
    newer: list[Outgoing] = []
    for plain in tokens.values():
        topic = plain.topic
        assert plain.value is not None
        bad += [
            replace(plain, value=b"\xff\x00 no json"),
            replace(plain, headers=()),
            with_type(plain, b"wevion.unheard.of.v1"),
            with_type(plain, f"wevion.{topic}.v2".encode()),
        ]
        body = json.loads(plain.value)
        body |= {"colour": "red", "token": {**body["token"], "shade": "dark"}}
        newer.append(replace(plain, value=json.dumps(body).encode()))
    large = story()
    accounts = TokenAccountsV1(token=large.next(), page=1, pages=2)
    good = record(Event(id=new_id(), time=now, source="oauth-svc", body=accounts))
    bad += [
        replace(good, value=b"\xff\x00 no json"),
        replace(good, headers=()),
        with_type(good, b"wevion.unheard.of.v1"),
        with_type(good, b"wevion.token.accounts.v2"),
    ]
    newer.append(good)
    async with running(deps, kafka, producer) as consumer:
        await producer.send_all([*bad, *newer])
        for token in tokens:
            await eventually(lambda: _at_version(deps.pool, token, 1), PATIENCE_S)  # noqa: B023
        await eventually(lambda: _has_a_page(deps.pool, large), PATIENCE_S)
        assert consumer.ready
    reasons = await dead_letters(kafka, len(bad), *(f"{topic}.dlq" for topic in TOPICS))
    for topic in TOPICS:
        found = [reason for where, reason in reasons if where == f"{topic}.dlq"]
        assert len(found) == 4, topic
        for why in ("Invalid JSON", "ce_type: missing", "unheard.of", ".v2"):
            assert any(why in reason for reason in found), (topic, why, found)


async def test_a_restart_goes_on_where_the_commit_was(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, story: Stories
) -> None:
    token = story()
    expires_at = datetime.now(UTC) + timedelta(days=30)
    async with running(deps, kafka, producer):
        await producer.send_all([record(token.issued(expires_at))])
        await eventually(lambda: _at_version(deps.pool, token, 1), PATIENCE_S)
    while_away = [token.refreshed(expires_at + timedelta(days=day)) for day in range(1, 4)]
    await producer.send_all([record(event) for event in while_away] * 3)
    async with running(deps, kafka, producer):
        await eventually(lambda: _at_version(deps.pool, token, 4), PATIENCE_S)
    found = await queries.one(deps.pool, TokenScope(None, None), token.token_id, now=datetime.now(UTC))
    assert found is not None
    assert found.status is TokenStatus.ACTIVE


async def test_past_the_limit_of_dead_letters_the_watcher_stops_and_says_so(
    deps: Deps, kafka: KafkaForTest, producer: EventProducer, story: Stories
) -> None:
    good = story().issued(datetime.now(UTC) + timedelta(days=30))
    bad = [replace(record(good), value=b"no json") for _ in range(8)]
    stopped = partial(metrics.value, "wevion_kafka_consumer_stopped", {"group": GROUP})
    async with running(deps, kafka, producer, DeadLetterLimit(count=3)) as consumer:
        assert stopped() == 0
        await producer.send_all(bad)
        await eventually(lambda: not consumer.ready, PATIENCE_S, what="the consumer stops")
        assert stopped() == 1
        assert len(await dead_letters(kafka, 3, "token.issued.dlq")) == 3


async def _at_version(pool: Pool, token: Any, version: int) -> bool:
    return await version_of(pool, token) == version


async def said(pool: Pool, token: Any) -> list[tuple[str, int]]:
    """What the outbox holds about a token: the stage, and in how many days it ends."""
    rows = await pool.fetch(
        "SELECT convert_from(payload, 'utf8')::jsonb AS body FROM outbox WHERE key = $1 ORDER BY id",
        str(token.token_id),
    )
    return [(row["body"]["stage"], round(row["body"]["remaining_s"] / 86400)) for row in rows]


async def _has_a_page(pool: Pool, token: Any) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM token_account_page WHERE token_id = $1", token.token_id))


def last_of_each_topic(story: Stories, key: bytes, now: datetime) -> dict[Any, Outgoing]:
    """A token for each topic, on the partition of another token's key: once it is there, so is all before it."""
    made = {}
    for topic in TOPICS:
        if topic == "token.accounts":
            continue  # a page of accounts is no news of a token
        token = story()
        match topic:
            case "token.issued":
                event = token.issued(now + timedelta(days=90))
            case "token.refreshed":
                event = token.refreshed(now + timedelta(days=90))
            case "token.revoked":
                event = token.revoked()
            case _:
                token.next()
                event = token.state(TokenStatus.ACTIVE)
        made[token] = replace(record(event), key=key)
    return made


def with_type(good: Outgoing, name: bytes) -> Outgoing:
    return replace(good, headers=tuple((key, name if key == "ce_type" else value) for key, value in good.headers))


async def dead_letters(kafka: KafkaForTest, count: int, *topics: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for letter in TopicReader(kafka.settings, *topics):
            found.append((letter.topic, dict(letter.headers)["dlq_reason"].decode()))
            if len(found) == count:
                break
    return found
