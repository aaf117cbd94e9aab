"""P10: the outbox relay against the raw idempotent producer, and the time from commit to the wire."""

import asyncio
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from bench.results import Result, paired_ratio, quantile
from bench.stack import Stack
from common.contracts import Event, TokenKind, TokenRef, TokenRefreshedV1, encode_body, encode_headers
from common.kafka import EventProducer, KafkaSettings, TopicReader
from common.outbox import Relay, enqueue
from common.postgres import Pool, open_pool, transaction
from common.runtime import tasks
from common.runtime.clock import monotonic
from common.runtime.ids import new_id

MUST, MUST_P99_MS = 0.5, 50.0
PREFIX = "p10."
TOPIC = "token.refreshed"


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Drain a full outbox and send the same records raw, in turns; then single commits to the wire."""
    rows = 4_000 if quick else 20_000
    rounds = 2 if quick else 5
    await stack.topics(PREFIX)
    settings = stack.kafka_settings(PREFIX)
    pool = await open_pool(await stack.database(), application_name="bench", command_timeout_s=60)
    producer = EventProducer(settings)
    ours, bare = [], []
    for number in range(-1, rounds):
        pair = (await _drain(pool, producer, rows), await _raw(settings, rows))
        if number >= 0:
            ours.append(pair[0])
            bare.append(pair[1])
    delays = await _commit_to_wire(pool, producer, settings, 50 if quick else 400)
    await producer.stop()
    await pool.close()
    ratio = paired_ratio(ours, bare)
    p99 = quantile(delays, 0.99)
    return [
        Result(
            id="P10",
            measure="outbox relay",
            ours=sorted(ours)[len(ours) // 2],
            ceiling=sorted(bare)[len(bare) // 2],
            ratio=ratio,
            unit="events/s",
            must=f">= {MUST} (aim 0.8); commit to wire p99 < {MUST_P99_MS:.0f} ms",
            met=ratio >= MUST and p99 < MUST_P99_MS,
            details={"commit to wire p50 ms": quantile(delays, 0.5), "commit to wire p99 ms": p99},
        )
    ]


def _body() -> TokenRefreshedV1:
    token = TokenRef(
        token_id=new_id(),
        kind=TokenKind.PLATFORM_OAUTH,
        provider="meta",
        workspace_id=new_id(),
        owner_user_id=new_id(),
        version=1,
    )
    return TokenRefreshedV1(token=token, rotated=False)


async def _drain(pool: Pool, producer: EventProducer, rows: int) -> float:
    now = datetime.now(UTC)
    async with transaction(pool) as db:
        await enqueue(db, [_body() for _ in range(rows)], source="oauth-svc", now=now)
    relay = Relay(pool, producer)
    await pool.execute("UPDATE relay_lease SET expires_at = '-infinity'")
    started = monotonic()
    sent = 0
    while sent < rows:
        sent += (await relay.run_once()).sent
    return rows / (monotonic() - started)


async def _raw(settings: KafkaSettings, rows: int) -> float:
    records = []
    for _ in range(rows):
        event = Event(id=new_id(), time=datetime.now(UTC), source="oauth-svc", body=_body())
        records.append((event.body.subject().encode(), encode_body(event.body), list(encode_headers(event))))
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=5,
        max_batch_size=256 * 1024,
    )
    await producer.start()
    started = monotonic()
    topic = settings.wire_name(TOPIC)
    await asyncio.gather(*[await producer.send(topic, value, key, headers=headers) for key, value, headers in records])
    rate = rows / (monotonic() - started)
    await producer.stop()
    return rate


async def _commit_to_wire(pool: Pool, producer: EventProducer, settings: KafkaSettings, count: int) -> list[float]:
    await pool.execute("UPDATE relay_lease SET expires_at = '-infinity'")
    relay = Relay(pool, producer)
    running = asyncio.create_task(relay.run())
    reader = TopicReader(settings, TOPIC, start="latest")
    arrived: dict[str, asyncio.Future[float]] = {}

    async def follow() -> None:
        async for record in reader:
            waiting = arrived.get(record.key)
            if waiting is not None and not waiting.done():
                waiting.set_result(monotonic())

    following = asyncio.create_task(follow())
    await asyncio.wait_for(reader.caught_up.wait(), 15)
    delays = []
    for _ in range(count):
        body = _body()
        arrived[body.subject()] = asyncio.get_running_loop().create_future()
        async with transaction(pool) as db:
            await enqueue(db, [body], source="oauth-svc", now=datetime.now(UTC))
        committed = monotonic()
        relay.poke()
        delays.append((await asyncio.wait_for(arrived[body.subject()], 10) - committed) * 1000)
    await tasks.cancel(running, following)
    return delays
