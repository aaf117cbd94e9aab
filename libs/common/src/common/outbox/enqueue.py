"""Write events on the caller's connection, in the caller's transaction. Never commits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from zlib import crc32

from common.contracts import Event, EventBody, attributes, encode_body, signed_content
from common.postgres import Db
from common.runtime.ids import new_id
from wevion_tokens.telemetry.tracing import current_traceparent, new_root

SHARDS = 4
"""How many relays can send at once. It is part of stored rows: a change needs an empty outbox."""

_INSERT = """
INSERT INTO outbox (shard, topic, key, event_id, aggregate_version, payload, headers)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bytea[], $7::jsonb[])
"""


def shard_of(key: str) -> int:
    """Return the shard of a key; the same in every process."""
    return crc32(key.encode()) % SHARDS


Sign = Callable[[EventBody, bytes], str | None]
"""Given a body and the content to sign, returns the signature, or None for an event that has none."""


async def enqueue(
    db: Db, bodies: Sequence[EventBody], *, source: str, now: datetime, sign: Sign | None = None
) -> list[Event[EventBody]]:
    """Send `bodies` when, and only when, the caller's transaction commits. Returns them as the events they will be.

    The row of the aggregate that an event is about must already be locked by this transaction: then ids of one key
    are drawn in the order of its commits, which is what keeps its events in order on the wire.

    Args:
        db: inside the caller's transaction.
        bodies: in the order they happened.
        source: the service that writes them, as `ce_source`.
        now: the time of the facts.
        sign: makes the owner's signature, where there is one.

    """
    if not bodies:
        return []
    traceparent = current_traceparent() or new_root().traceparent
    events = [Event(id=new_id(), time=now, source=source, body=body, traceparent=traceparent) for body in bodies]
    if sign is not None:
        events = [_signed(event, sign) for event in events]
    headers = [attributes(event) for event in events]
    keys = [found["ce_subject"] for found in headers]
    await db.execute(
        _INSERT,
        [shard_of(key) for key in keys],
        [event.topic for event in events],
        keys,
        [event.id for event in events],
        [event.body.aggregate_version() for event in events],
        [encode_body(event.body) for event in events],
        headers,
    )
    return events


def _signed(event: Event[EventBody], sign: Sign) -> Event[EventBody]:
    return replace(event, signature=sign(event.body, signed_content(attributes(event), encode_body(event.body))))


async def enqueue_tombstone(db: Db, *, topic: str, key: str, version: int) -> None:
    """Remove `key` from a compacted topic.

    Args:
        db: the connection or the transaction to use.
        topic: the compacted topic.
        key: the key that is forgotten.
        version: the last version of what is forgotten.

    """
    await db.execute(_INSERT, [shard_of(key)], [topic], [key], [new_id()], [version], [None], [{}])
