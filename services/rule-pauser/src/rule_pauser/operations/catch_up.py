"""What a database that knows nothing reads first: the whole state of every grant, from the compacted topic.

The other topics keep events for two weeks only; a grant that died before that is known from `token.state` alone.
"""

import asyncio
from contextlib import aclosing
from datetime import datetime
from typing import Final

from common.contracts import InvalidEvent, decode
from common.kafka import KafkaSettings, Record, TopicReader
from rule_pauser.operations.deps import Deps
from rule_pauser.operations.hear import hear
from rule_pauser.store import grants

TOPIC: Final = "token.state"


async def catch_up(deps: Deps, kafka: KafkaSettings, now: datetime) -> int:
    """Hear the present state of every grant, once in the life of a database; returns how many were news."""
    if await grants.is_caught_up(deps.pool):
        return 0
    reader = TopicReader(kafka, TOPIC)
    ended = asyncio.create_task(reader.caught_up.wait())
    heard = 0
    try:
        async with aclosing(aiter(reader)) as records:  # type: ignore[type-var]  # an async generator behind its protocol
            while True:
                following = asyncio.ensure_future(anext(records))
                await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.wait({following})
                    break
                heard += await _hear(deps, following.result(), now)
    finally:
        ended.cancel()
    await grants.note_caught_up(deps.pool, now)
    return heard


async def _hear(deps: Deps, record: Record, now: datetime) -> bool:
    if record.value is None:
        return False  # a grant that was purged: no rule depends on it any more
    try:
        event = decode(record.value, record.headers)
    except InvalidEvent:
        return False  # expiry-watcher follows this topic, and puts such records aside
    return await hear(deps, event, now)
