"""What we read and write is what the contract says of us."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from common.contracts import (
    TOPICS,
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenEvent,
    decode,
    encode_body,
    encode_headers,
)
from notifier import consumers
from notifier.channels.telegram import facts
from notifier.channels.telegram.rules import Code, CodeState, Link, LinkState

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
CODE = Code(
    token_id=UUID(int=1),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    version=1,
    state=CodeState.WAITING,
    chat_id=77,
    expires_at=NOW,
)
LINK = Link(
    token_id=UUID(int=4),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    chat_id=77,
    chat_name="@mia",
    version=1,
    state=LinkState.LINKED,
    linked_at=NOW,
)


def test_we_consume_exactly_the_topics_that_name_us() -> None:
    assert set(consumers.TOPICS) == {topic.name for topic in TOPICS.values() if "notifier" in topic.consumers}


@pytest.mark.parametrize(
    "bodies",
    [
        facts.issued(CODE, IssuedHow.LINK_CREATED, NOW),
        facts.issued(LINK, IssuedHow.CONNECT, NOW),
        facts.revoked(CODE, RevocationCause.USED, DetectedBy.USER, NOW),
        facts.revoked(LINK, RevocationCause.UNLINKED, DetectedBy.USER, NOW),
        facts.expired(CODE),
    ],
)
def test_what_we_say_of_links_is_whole_in_order_and_holds_no_chat(bodies: list[EventBody]) -> None:
    for body in bodies:
        assert "notifier" in TOPICS[body.TOPIC].producers
        event = Event(id=UUID(int=9), time=NOW, source="notifier", body=body)
        assert decode(encode_body(body), encode_headers(event)) == event
        assert b"77" not in encode_body(body)
        assert b"@mia" not in encode_body(body)
    versions = {body.token.version for body in bodies if isinstance(body, TokenEvent)}
    assert len(versions) == 1
    assert [body.TOPIC for body in bodies][-1] == "token.state"
