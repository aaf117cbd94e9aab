"""Publish the states of an owner's tokens again: after `token.state` was lost, or has other partitions than before.

What the topic holds decides. A version continues above what was published, so that consumers take it; and an ending
that was published is never undone by a database that does not know of it (one that was restored from a backup).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from common.contracts import InvalidEventError, TokenStateV1, TokenStatus, decode
from common.kafka import KafkaSettings, Record, TopicReader

LONG_AGO = datetime.min.replace(tzinfo=UTC)
_OVER = frozenset({TokenStatus.REVOKED, TokenStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Published:
    """The newest state of one token on the topic.

    Attributes:
        version: the token's, as its owner counts.
        over: whether the token has ended.
        expires_at: its full expiry; None where no end is stated.
        end: the whole state of a token that has ended; None while it lives, because there are many.

    """

    version: int
    over: bool
    expires_at: datetime | None = None
    end: TokenStateV1 | None = None


@dataclass(slots=True)
class TopicStates:
    """What `token.state` holds.

    Attributes:
        newest: when the newest record was written; the beginning of time when there is none.
        tokens: the newest state of each token.

    """

    newest: datetime = LONG_AGO
    tokens: dict[UUID, Published] = field(default_factory=dict)


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
    return (await read_states(kafka)).tokens


async def read_states(kafka: KafkaSettings, *, source: str | None = None) -> TopicStates:
    """Return what `token.state` holds now of this service's tokens (None: of all). Waits while Kafka is away."""
    found = TopicStates()
    async for record in TopicReader(kafka, TokenStateV1.TOPIC).present():
        body = _body(record, source)
        if body is None:
            continue
        found.newest = max(found.newest, record.timestamp)
        known = found.tokens.get(body.token.token_id)
        if known is None or known.version < body.token.version:
            over = body.status in _OVER
            found.tokens[body.token.token_id] = Published(
                body.token.version, over, body.expires_at, body if over else None
            )
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


def _body(record: Record, source: str | None) -> TokenStateV1 | None:
    if record.value is None:
        return None
    try:
        event = decode(record.value, record.headers)
    except InvalidEventError:
        return None
    if source is not None and event.source != source:
        return None
    return event.body if isinstance(event.body, TokenStateV1) else None
