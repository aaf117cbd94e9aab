"""What a database that knows nothing reads first: the whole state of every grant, from the compacted topic.

The other topics keep events for two weeks only; a grant that died before that is known from `token.state` alone.
"""

from datetime import datetime

from common.contracts import InvalidEventError, decode
from common.kafka import KafkaSettings, Record, TopicReader
from rule_pauser.operations.deps import Deps
from rule_pauser.operations.hear import hear
from rule_pauser.store import grants

TOPIC = "token.state"


async def catch_up(deps: Deps, kafka: KafkaSettings, now: datetime) -> int:
    """Hear the present state of every grant, once in the life of a database; returns how many were news."""
    if await grants.is_caught_up(deps.pool):
        return 0
    heard = 0
    async for record in TopicReader(kafka, TOPIC).present():
        heard += await _hear(deps, record, now)
    await grants.note_caught_up(deps.pool, now)
    return heard


async def _hear(deps: Deps, record: Record, now: datetime) -> bool:
    if record.value is None:
        return False  # a grant that was purged: no rule depends on it any more
    try:
        event = decode(record.value, record.headers)
    except InvalidEventError:
        return False  # expiry-watcher follows this topic, and puts such records aside
    return await hear(deps, event, now)
