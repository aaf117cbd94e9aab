"""A lost database is filled anew from the topics."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common.contracts import Event, EventBody, TokenExpiringV1, TokenStatus, encode_body, encode_headers
from common.kafka import EventProducer, Outgoing
from common.runtime.ids import new_id
from common.testing.stack import KafkaForTest
from expiry_watcher.core.tracked import TokenFilters, TokenScope
from expiry_watcher.operations import Deps, announce_due, rebuild, track
from expiry_watcher.store import history, queries

Stories = Callable[..., Any]


def record(event: Event[EventBody]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


async def test_rebuild(deps: Deps, kafka: KafkaForTest, story: Stories) -> None:
    now = datetime.now(UTC)
    soon, later = now + timedelta(days=6), now + timedelta(days=20)
    warned, fresh, purged = story(), story(), story()
    events = [
        warned.issued(soon),
        warned.state(TokenStatus.ACTIVE, expires_at=soon),
        Event(
            id=new_id(),
            time=now,
            source="expiry-watcher",
            body=TokenExpiringV1(token=warned.ref, stage="7d", expires_at=soon, remaining_s=500_000),
        ),
        fresh.issued(soon),
        fresh.refreshed(later),
        fresh.state(TokenStatus.ACTIVE, expires_at=later),
        purged.issued(soon),
    ]
    producer = EventProducer(kafka.settings)
    try:
        await producer.send_all([record(event) for event in events])
        await producer.send_all(
            [
                Outgoing("token.state", str(purged.token_id).encode(), None),
                Outgoing("token.state", b"not an id", None),
                Outgoing("token.issued", b"x", b"garbage"),
            ]
        )
    finally:
        await producer.stop()
    said: list[str] = []
    for new in (2, 0):
        done = await rebuild(deps, kafka.settings, now, lambda part, progress: said.append(f"{part}: {progress}"))
        assert (done.tokens, done.marks, done.unreadable) == (new, 1, 2)
    assert said
    found = await queries.page(deps.pool, TokenScope(None, None), TokenFilters(), now=now, after=None, limit=10)
    assert {token.token_id: token.expires_at for token in found} == {warned.token_id: soon, fresh.token_id: later}
    assert (await announce_due(deps, now, 100)).said == 0, "what was announced before is not announced again"
    lines = [line.what for line in await history.read(deps.pool, warned.token_id, 10)]
    assert sorted(lines) == ["issued", "state", "warned"]
    assert await history.read(deps.pool, purged.token_id, 10) == []
    assert await deps.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_topic_that_was_lost_empties_no_inventory(deps: Deps, kafka: KafkaForTest, story: Stories) -> None:
    now = datetime.now(UTC)
    kept, known = story(), story()
    await track(deps, [token.issued(now + timedelta(days=20)) for token in (kept, known)])
    producer = EventProducer(kafka.settings)
    known.next()
    await producer.send_all([record(known.state(TokenStatus.REVOKED))])
    await producer.stop()
    await rebuild(deps, kafka.settings, now, lambda *_: None)
    found = await queries.page(deps.pool, TokenScope(None, None), TokenFilters(), now=now, after=None, limit=10)
    assert {token.token_id: token.status for token in found} == {
        kept.token_id: TokenStatus.ACTIVE,
        known.token_id: TokenStatus.REVOKED,
    }
