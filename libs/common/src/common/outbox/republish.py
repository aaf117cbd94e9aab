"""Publish the states of an owner's tokens again: after `token.state` was lost, or has other partitions than before.

What the topic holds decides. A version continues above what was published, so that consumers take it; and an ending
that was published is never undone by a database that does not know of it (one that was restored from a backup).
"""

from dataclasses import dataclass
from uuid import UUID

from common.contracts import InvalidEventError, TokenStateV1, TokenStatus, decode
from common.kafka import KafkaSettings, Record, TopicReader

_OVER = frozenset({TokenStatus.REVOKED, TokenStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Published:
    """The newest state of one token on the topic."""

    version: int
    over: bool


@dataclass(slots=True)
class Republished:
    """What a run did.

    Attributes:
        sent: states that were published.
        raised: of those, the ones whose version was raised above what had been published.
        held_back: tokens that are alive here and over on the topic; they were not touched.

    """

    sent: int = 0
    raised: int = 0
    held_back: int = 0


async def published(kafka: KafkaSettings) -> dict[UUID, Published]:
    """Return the newest state of each token that `token.state` holds now."""
    found: dict[UUID, Published] = {}
    async for record in TopicReader(kafka, TokenStateV1.TOPIC).present():
        body = _body(record)
        if body is not None:
            known = found.get(body.token.token_id)
            if known is None or known.version < body.token.version:
                found[body.token.token_id] = Published(body.token.version, body.status in _OVER)
    return found


def continued(version: int, known: Published | None, *, over: bool, done: Republished) -> int | None:
    """Return the version at which a state is published, and count it.

    Args:
        version: the owner's.
        known: what the topic holds of the token; None when it holds nothing.
        over: whether the token has ended, as the owner knows it.
        done: where it is counted.

    Returns:
        The version; None when the state must not be published.

    """
    if known is not None and known.over and not over:
        done.held_back += 1
        return None
    done.sent += 1
    if known is not None and known.version > version:
        done.raised += 1
        return known.version + 1
    return version


def _body(record: Record) -> TokenStateV1 | None:
    if record.value is None:
        return None
    try:
        body = decode(record.value, record.headers).body
    except InvalidEventError:
        return None
    return body if isinstance(body, TokenStateV1) else None
