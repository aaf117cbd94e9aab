"""What Kafka holds after a bad time, compared with what was promised: nothing lost, nothing out of order.

It reads every topic from its beginning and believes nothing but what is there.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from common.contracts import (
    TOPICS,
    Event,
    EventBody,
    InvalidEventError,
    TokenEvent,
    TokenKind,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    decode,
)
from common.kafka import KafkaSettings, TopicReader

READ_TIMEOUT_S = 60.0
#: A message for people holds so many examples; the rest is counted.
EXAMPLES = 5


@dataclass(slots=True)
class Record:
    """Every event, in the order of its partition. `events` has repeats; `first` has each event once."""

    events: list[Event[EventBody]] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    async def read(cls, bootstrap: str) -> "Record":
        """All that is there now."""
        settings = KafkaSettings(bootstrap_servers=bootstrap, client_id="devstack-record")
        reader = TopicReader(settings, *TOPICS, *(topic.dlq for topic in TOPICS.values()))
        record = cls()

        async def follow() -> None:
            async for each in reader:
                if each.topic not in TOPICS:
                    reason = dict(each.headers).get("dlq_reason", b"").decode(errors="replace")
                    record.dead_letters.append(f"{each.topic}: {reason}")
                elif each.value is not None:
                    try:
                        record.events.append(decode(each.value, each.headers))
                    except InvalidEventError as error:
                        record.unreadable.append(f"{each.topic} {each.offset}: {error}")

        task = asyncio.create_task(follow())
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await reader.caught_up.wait()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return record

    @property
    def first(self) -> list[Event[EventBody]]:
        """First deliveries. A relay that died between sending and deleting delivers again, which is allowed."""
        found: dict[UUID, Event[EventBody]] = {}
        for event in self.events:
            found.setdefault(event.id, event)
        return list(found.values())

    def went_back(self) -> list[str]:
        """Deliveries by a relay that came, for the first time, after a newer one of the same token on the same topic.

        Ends of sessions go a second way as well, which may overtake the relay: of those its copy, the last, counts.
        """
        place: dict[UUID, int] = {}
        for number, event in enumerate(self.events):
            if event.id not in place or _is_end_of_session(event.body):
                place[event.id] = number
        newest: dict[tuple[str, str], int] = {}
        wrong = []
        for event in (self.events[number] for number in sorted(place.values())):
            if not isinstance(event.body, TokenEvent):
                continue
            key, version = (event.topic, event.body.subject()), event.body.aggregate_version()
            if version < newest.get(key, version):
                wrong.append(f"{event.topic} of {key[1]}: version {version} after {newest[key]}")
            newest[key] = max(version, newest.get(key, version))
        return wrong

    def newest(self, topics: Container[str]) -> dict[UUID, int]:
        """Each token's newest version on these topics."""
        found: dict[UUID, int] = {}
        for event in self.events:
            if event.topic in topics and isinstance(event.body, TokenEvent):
                token = event.body.token
                found[token.token_id] = max(token.version, found.get(token.token_id, 0))
        return found

    def missing(self, versions: Mapping[UUID, int]) -> dict[UUID, list[int]]:
        """Of tokens and the versions that their owner's database has: those that no event tells.

        Each change raises the version by one and has an event in the same transaction, so a hole is a lost event.
        """
        told: dict[UUID, set[int]] = {}
        for event in self.events:
            if isinstance(event.body, TokenEvent):
                told.setdefault(event.body.token.token_id, set()).add(event.body.token.version)
        found = {
            token: sorted(set(range(1, version + 1)) - told.get(token, set())) for token, version in versions.items()
        }
        return {token: holes for token, holes in found.items() if holes}


def _is_end_of_session(body: EventBody) -> bool:
    """What session-svc also sends by itself, right after its commit (ADR 21)."""
    if not isinstance(body, TokenEvent) or body.token.kind is not TokenKind.SESSION:
        return False
    return isinstance(body, TokenRevokedV1) or (isinstance(body, TokenStateV1) and body.status is TokenStatus.REVOKED)


def some(items: Iterable[object]) -> str:
    """A few of them, and how many there are."""
    found = list(items)
    more = f" … {len(found)} in all" if len(found) > EXAMPLES else ""
    return "; ".join(str(item) for item in found[:EXAMPLES]) + more
