"""The outbox and the consumers on a real PostgreSQL and a real Kafka: nothing lost, nothing out of order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pytest

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    encode_body,
    encode_headers,
)
from common.kafka import (
    DeadLetterLimit,
    EventConsumer,
    EventProducer,
    InBatches,
    KafkaSettings,
    Outgoing,
    Purged,
    TopicReader,
)
from common.kafka.replay import DeadLetter, dead_letters, send_again
from common.outbox import SHARDS, Relay, accept, enqueue, purge
from common.outbox.relay import CHANNEL
from common.postgres import Pool, listen, open_pool, transaction
from common.runtime import tasks
from common.runtime.errors import InvalidMessageError, PermanentError, RetryableError
from common.runtime.ids import new_id
from common.telemetry import metrics
from common.testing import eventually
from common.testing.stack import DatabaseFactory, KafkaForTest
from wevion_tokens.telemetry import tracing

NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
PACKAGE = "common.outbox"


def revoked(token_id: UUID, version: int) -> TokenRevokedV1:
    token = TokenRef(
        token_id=token_id,
        kind=TokenKind.SESSION,
        provider="wevion",
        workspace_id=new_id(),
        owner_user_id=new_id(),
        version=version,
    )
    return TokenRevokedV1(token=token, cause=RevocationCause.SIGNED_OUT, detected_by=DetectedBy.USER)


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, application_name="test")
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def producing(kafka: KafkaForTest) -> AsyncIterator[EventProducer]:
    producer = EventProducer(kafka.settings)
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def running(*works: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await tasks.cancel(*works)


async def read(kafka: KafkaForTest, topic: str, count: int) -> list[tuple[str, bytes | None]]:
    found: list[tuple[str, bytes | None]] = []
    async with asyncio.timeout(20):
        async for record in TopicReader(kafka.settings, topic):
            found.append((record.key, record.value))
            if len(found) == count:
                break
    return found


async def test_events_leave_in_order_per_key_however_many_write(database: DatabaseFactory, kafka: KafkaForTest) -> None:
    async with opened(await database(PACKAGE)) as pool, producing(kafka) as producer:
        await pool.execute("CREATE TABLE aggregate (id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 0)")
        keys = [new_id() for _ in range(7)]
        await pool.executemany("INSERT INTO aggregate (id) VALUES ($1)", [(key,) for key in keys])

        async def write(worker: int) -> None:
            for step in range(20):
                key = keys[(worker * 3 + step) % len(keys)]
                async with transaction(pool) as db:
                    version = await db.fetchval(
                        "UPDATE aggregate SET version = version + 1 WHERE id = $1 RETURNING version", key
                    )
                    await enqueue(db, [revoked(key, version)], source="session-svc", now=NOW)

        relays = [Relay(pool, producer), Relay(pool, producer)]
        async with running(*(asyncio.create_task(relay.run()) for relay in relays)):
            await asyncio.gather(*(write(worker) for worker in range(6)))
            records = await read(kafka, "token.revoked", 120)

            async def drained() -> bool:
                return await _empty(pool)

            await eventually(drained, what="the outbox is drained")
    seen: dict[str, list[int]] = {}
    for key, value in records:
        seen.setdefault(key, []).append(TokenRevokedV1.model_validate_json(value or b"").token.version)
    assert sum(len(versions) for versions in seen.values()) == 120
    for versions in seen.values():
        assert versions == list(range(1, len(versions) + 1))


async def _empty(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))


async def test_an_event_of_background_work_belongs_to_a_trace_too(database: DatabaseFactory) -> None:
    async with opened(await database(PACKAGE)) as pool, transaction(pool) as db:
        alone = await enqueue(db, [revoked(new_id(), 1), revoked(new_id(), 1)], source="session-svc", now=NOW)
        with tracing.span() as span:
            inside = await enqueue(db, [revoked(new_id(), 1)], source="session-svc", now=NOW)
    assert tracing.parse(alone[0].traceparent) is not None
    assert alone[0].traceparent == alone[1].traceparent
    assert inside[0].traceparent == span.traceparent


async def test_a_rolled_back_change_sends_nothing(database: DatabaseFactory) -> None:
    async with opened(await database(PACKAGE)) as pool:

        async def fail_halfway() -> None:
            async with transaction(pool) as db:
                await enqueue(db, [revoked(new_id(), 1)], source="session-svc", now=NOW)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_halfway()
        assert await _empty(pool)


async def test_one_relay_owns_a_shard_and_another_takes_over_when_it_lets_go(
    database: DatabaseFactory, kafka: KafkaForTest
) -> None:
    async with opened(await database(PACKAGE)) as pool, producing(kafka) as producer:
        first, second = Relay(pool, producer), Relay(pool, producer)
        await first.run_once()
        async with transaction(pool) as db:
            await enqueue(db, [revoked(new_id(), 1)], source="session-svc", now=NOW)
        assert (await second.run_once()).sent == 0
        assert (await first.run_once()).sent == 1
        assert (await first.run_once()).sent == 0
        await pool.execute("UPDATE relay_lease SET expires_at = '-infinity'")
        third = Relay(pool, producer)
        await third.run_once()
        epochs = await pool.fetch("SELECT epoch FROM relay_lease")
        assert {row["epoch"] for row in epochs} == {2}


async def test_a_relay_whose_lease_was_taken_deletes_nothing(database: DatabaseFactory, kafka: KafkaForTest) -> None:
    async with opened(await database(PACKAGE)) as pool, producing(kafka) as producer:
        zombie = Relay(pool, producer)
        await zombie.run_once()
        async with transaction(pool) as db:
            await enqueue(db, [revoked(new_id(), 1)], source="session-svc", now=NOW)
        await pool.execute("UPDATE relay_lease SET owner = $1, epoch = epoch + 1", new_id())
        await zombie.run_once()
        assert not await _empty(pool), "the new owner has to find the row"


async def test_an_inbox_accepts_an_event_once_and_forgets_old_ones(database: DatabaseFactory) -> None:
    async with opened(await database(PACKAGE)) as pool:
        event_id = new_id()
        async with transaction(pool) as db:
            assert await accept(db, "reader", event_id)
            assert not await accept(db, "reader", event_id)
            assert await accept(db, "another reader", event_id)
        assert (await purge(pool)).forgotten == 0
        await pool.execute("UPDATE inbox SET accepted_at = now() - interval '40 days'")
        assert (await purge(pool)).forgotten == 2


async def test_a_handler_sees_every_event_and_each_failure_has_its_meaning(kafka: KafkaForTest) -> None:
    good, waits, bad, broken = (new_id() for _ in range(4))
    handled: list[str] = []
    tries: dict[str, int] = {}

    async def handler(event: Event[EventBody]) -> None:
        subject = event.body.subject()
        tries[subject] = tries.get(subject, 0) + 1
        if subject == str(waits) and tries[subject] < 3:
            raise RetryableError("the database is away")
        if subject == str(bad):
            raise InvalidMessageError("no such account")
        if subject == str(broken):
            raise KeyError("a bug")
        handled.append(subject)

    async with producing(kafka) as producer:
        consumer = EventConsumer(kafka.settings, "test", ["token.revoked"], handler, producer, session_timeout_s=6)
        for token_id in (waits, bad, broken, good):
            await producer.send_all([record_of(revoked(token_id, 1))])
        await producer.send_all([Outgoing("token.revoked", b"k", b"not json", headers_of(revoked(new_id(), 1)))])
        await producer.send_all([Outgoing("token.revoked", b"k", b"{}", (("ce_type", b"wevion.token.revoked.v9"),))])
        async with running(asyncio.create_task(consumer.run())):
            letters = await letters_of(kafka, 4)
            await eventually(lambda: set(handled) == {str(good), str(waits)}, what="the good ones are handled")
            assert consumer.ready
        reasons = sorted(letter.reason for letter in letters)
        assert reasons[0].startswith("InvalidMessageError: no such account")
        assert reasons[1].startswith("KeyError")
        assert "not an event type that this version knows" in reasons[2]
        assert "Invalid JSON" in reasons[3]
        assert tries == {str(good): 1, str(waits): 3, str(bad): 1, str(broken): 5}
        assert {letter.header("dlq_topic") for letter in letters} == {"token.revoked"}


async def letters_of(kafka: KafkaForTest, count: int) -> list[DeadLetter]:
    async def parked() -> list[DeadLetter]:
        found = await dead_letters(kafka.settings, "token.revoked")
        return found if len(found) >= count else []

    return await eventually(parked, timeout_s=30, what=f"{count} dead letters")


def headers_of(body: TokenRevokedV1) -> tuple[tuple[str, bytes], ...]:
    return encode_headers(Event(id=new_id(), time=NOW, source="session-svc", body=body))


def record_of(body: TokenRevokedV1) -> Outgoing:
    return Outgoing("token.revoked", body.subject().encode(), encode_body(body), headers_of(body))


async def test_a_consumer_that_starts_again_goes_on_where_it_was(kafka: KafkaForTest) -> None:
    seen: list[int] = []

    async def handler(event: Event[EventBody]) -> None:
        seen.append(event.body.aggregate_version())

    async with producing(kafka) as producer:
        for version in (1, 2):
            await producer.send_all([record_of(revoked(new_id(), version))])
            consumer = EventConsumer(kafka.settings, "again", ["token.revoked"], handler, producer, session_timeout_s=6)
            async with running(asyncio.create_task(consumer.run())):
                await eventually(lambda: seen[-1:] == [version], timeout_s=30)  # noqa: B023  awaited inside the loop
    assert seen == [1, 2]


async def test_how_long_events_wait_is_seen_while_the_relay_cannot_send(database: DatabaseFactory) -> None:
    away = EventProducer(KafkaSettings(bootstrap_servers="127.0.0.1:9", client_id="test"))
    async with opened(await database(PACKAGE)) as pool:
        async with transaction(pool) as db:
            await enqueue(db, [revoked(new_id(), 1)], source="session-svc", now=NOW)
        await pool.execute("UPDATE outbox SET created_at = now() - interval '4 minutes'")
        relay = Relay(pool, away)
        with pytest.raises(RetryableError):
            await relay.run_once()
        await relay.measure()
        shards = [{"shard": str(shard)} for shard in range(SHARDS)]
        assert max(metrics.value("wevion_outbox_oldest_age_seconds", shard) for shard in shards) >= 240
        assert sum(metrics.value("wevion_outbox_depth_rows", shard) for shard in shards) == 1


async def test_the_lag_is_what_is_not_committed_though_the_handler_stands_still(kafka: KafkaForTest) -> None:
    blocked, entered = asyncio.Event(), asyncio.Event()

    async def handler(_event: Event[EventBody]) -> None:
        entered.set()
        await blocked.wait()

    def lag() -> float:
        labels = {"group": "slow", "topic": "token.revoked"}
        return sum(metrics.value("wevion_kafka_lag_records", labels | {"partition": str(p)}) for p in range(3))

    async with producing(kafka) as producer:
        consumer = EventConsumer(kafka.settings, "slow", ["token.revoked"], handler, producer, session_timeout_s=6)
        with pytest.raises(RetryableError, match="no member of slow"):
            await consumer.measure()
        await producer.send_all([record_of(revoked(new_id(), 1)) for _ in range(40)])
        async with running(asyncio.create_task(consumer.run())):
            await entered.wait()
            await consumer.measure()
            assert lag() == 40
            blocked.set()

            async def caught_up() -> bool:
                await consumer.measure()
                return lag() == 0

            await eventually(caught_up)
            assert consumer.ready


async def test_batches_hold_what_came_together_and_a_bad_one_does_not_hold_up_the_rest(kafka: KafkaForTest) -> None:
    batches: list[list[str]] = []
    bad = str(new_id())

    async def handle(things: Sequence[Event[EventBody] | Purged]) -> None:
        subjects = [thing.key if isinstance(thing, Purged) else thing.body.subject() for thing in things]
        if bad in subjects:
            raise KeyError("a bug")
        batches.append(subjects)

    good = [record_of(revoked(new_id(), 1)) for _ in range(30)]
    tombstone = Outgoing("token.state", b"gone", None)
    async with producing(kafka) as producer:
        await producer.send_all([*good, tombstone])
        topics = ["token.revoked", "token.state"]
        consumer = EventConsumer(kafka.settings, "batch", topics, InBatches(handle), producer, session_timeout_s=6)
        async with running(asyncio.create_task(consumer.run())):
            await eventually(lambda: sum(map(len, batches)) == 31, 30)
            assert max(map(len, batches)) > 1
            assert any("gone" in batch for batch in batches)
            await producer.send_all([record_of(revoked(UUID(bad), 1)), record_of(revoked(new_id(), 2))])
            letters = await letters_of(kafka, 1)
            await eventually(lambda: sum(map(len, batches)) == 32, 30)
    assert [letter.key.decode() for letter in letters] == [bad]


async def test_past_the_limit_a_consumer_stops_and_later_goes_on(kafka: KafkaForTest) -> None:
    async def refuse(_event: Event[EventBody]) -> None:
        raise PermanentError("not today")

    limit = DeadLetterLimit(count=2, window_s=1.5)
    stopped = partial(metrics.value, "wevion_kafka_consumer_stopped", {"group": "poison"})
    async with producing(kafka) as producer:
        consumer = EventConsumer(
            kafka.settings, "poison", ["token.revoked"], refuse, producer, session_timeout_s=6, limit=limit
        )
        assert metrics.value("wevion_kafka_dead_letters_total", {"group": "poison", "topic": "token.revoked"}) == 0
        await producer.send_all([record_of(revoked(new_id(), 1)) for _ in range(4)])
        async with running(asyncio.create_task(tasks.supervise("poison", consumer.run))):
            await eventually(lambda: stopped() == 1, 30, what="the consumer stops")
            await letters_of(kafka, 4)  # and goes on when the time is over


async def test_an_event_that_kafka_can_never_take_is_kept_and_seen(
    database: DatabaseFactory, kafka: KafkaForTest
) -> None:
    count = partial(metrics.value, "wevion_outbox_unsendable_total", {"topic": "token.revoked"})
    before = count()
    async with opened(await database(PACKAGE)) as pool, producing(kafka) as producer:
        async with transaction(pool) as db:
            await enqueue(db, [revoked(new_id(), version) for version in (1, 2, 3)], source="session-svc", now=NOW)
            await db.execute(
                "UPDATE outbox SET payload = convert_to(repeat('x', 2 << 20), 'utf8') WHERE aggregate_version = 2"
            )
        relay = Relay(pool, producer)
        while (await relay.run_once()).sent:
            pass
        assert await _empty(pool)
        assert len(await read(kafka, "token.revoked", 2)) == 2
        (kept,) = await pool.fetch("SELECT length(payload) AS size, reason FROM outbox_unsendable")
        assert kept["size"] == 2 << 20
        (letter,) = await letters_of(kafka, 1)
        assert "over 1048576 bytes" in letter.reason
        assert letter.header("dlq_consumer") == "outbox"
    assert count() == before + 1


async def test_the_relay_that_holds_the_shards_is_woken_by_the_process_that_commits(
    database: DatabaseFactory, kafka: KafkaForTest
) -> None:
    """Each event is committed by a process that holds no shard, and is awaited at the one that does."""
    dsn = await database(PACKAGE)
    async with opened(dsn) as pool, producing(kafka) as producer:
        holder, other = Relay(pool, producer, poll_s=600), Relay(pool, producer, poll_s=600)
        await holder.run_once()
        listening = asyncio.Event()

        def heard() -> None:
            listening.set()
            holder.look()

        works = [holder.run(), other.run(), listen(dsn, CHANNEL, heard, application_name="test")]
        async with running(*(asyncio.create_task(work) for work in works)):
            await listening.wait()
            for version in (1, 2, 3):
                listening.clear()
                async with transaction(pool) as db:
                    await enqueue(db, [revoked(new_id(), version)], source="session-svc", now=NOW)
                other.poke()
                async with asyncio.timeout(10):
                    await listening.wait()
            assert len(await read(kafka, "token.revoked", 3)) == 3


async def test_a_listener_whose_connection_ends_says_so(database: DatabaseFactory) -> None:
    dsn = await database(PACKAGE)
    listening = asyncio.Event()
    task = asyncio.create_task(listen(dsn, CHANNEL, listening.set, application_name="ends"))
    await listening.wait()
    async with opened(dsn) as pool:
        await pool.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ends'")
    with pytest.raises(RetryableError):
        await task


async def test_a_dead_letter_is_sent_again_as_it_was(kafka: KafkaForTest) -> None:
    body = revoked(new_id(), 1)
    original = record_of(body)

    async def refuse(_event: Event[EventBody]) -> None:
        raise PermanentError("not today")

    async with producing(kafka) as producer:
        await producer.send_all([original])
        consumer = EventConsumer(kafka.settings, "refuses", ["token.revoked"], refuse, producer, session_timeout_s=6)
        async with running(asyncio.create_task(consumer.run())):
            letters = await letters_of(kafka, 1)
        await send_again(kafka.settings, producer, letters[0])
        async for record in TopicReader(kafka.settings, "token.revoked"):
            if record.offset == 1:
                assert record.value == original.value
                assert record.headers == original.headers
                break


async def test_a_reader_is_caught_up_at_once_on_an_empty_topic_and_later_on_a_full_one(kafka: KafkaForTest) -> None:
    async with producing(kafka) as producer:
        empty = TopicReader(kafka.settings, "token.state")
        task = asyncio.create_task(_drain(empty, []))
        async with running(task):
            async with asyncio.timeout(10):
                await empty.caught_up.wait()
        await producer.send_all([record_of(revoked(new_id(), version)) for version in range(1, 301)])
        seen: list[int] = []
        full = TopicReader(kafka.settings, "token.revoked")
        async with running(asyncio.create_task(_drain(full, seen))):
            async with asyncio.timeout(10):
                await full.caught_up.wait()
            assert len(seen) == 300


async def test_a_reader_gives_what_is_present_and_ends(kafka: KafkaForTest) -> None:
    assert [record async for record in TopicReader(kafka.settings, "token.state").present()] == []
    async with producing(kafka) as producer:
        await producer.send_all([record_of(revoked(new_id(), version)) for version in range(1, 301)])
        present = [record async for record in TopicReader(kafka.settings, "token.revoked").present()]
    assert len(present) == 300


async def _drain(reader: TopicReader, seen: list[int]) -> None:
    async for record in reader:
        seen.append(record.offset)  # noqa: PERF401  it never ends; the test looks at what is there so far


async def test_a_record_that_is_too_large_is_refused_before_it_is_sent(kafka: KafkaForTest) -> None:
    async with producing(kafka) as producer:
        with pytest.raises(PermanentError, match="over 1048576 bytes"):
            await producer.send_all([Outgoing("token.revoked", b"k", b"x" * (1 << 21))])
