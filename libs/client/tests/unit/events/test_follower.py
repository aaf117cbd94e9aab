"""Handlers by type, each effect once; events come from the stored examples."""

import asyncio
from uuid import uuid4

import pytest

from wevion_tokens.contracts import EVENT_TYPES, Event, EventBody, TokenIssuedV1, TokenRevokedV1, TokenStateV1
from wevion_tokens.events import Follower
from wevion_tokens.kafka import KafkaSettings
from wevion_tokens.testing import MemoryInbox, example

KAFKA = KafkaSettings(bootstrap_servers="kafka.example:9092", client_id="test")


@pytest.fixture
def effects() -> list[str]:
    return []


@pytest.fixture
def follower(effects: list[str]) -> Follower[list[str]]:
    made: Follower[list[str]] = Follower(KAFKA, f"test-{uuid4()}", MemoryInbox(effects))

    @made.on(TokenRevokedV1)
    async def stop(event: Event[TokenRevokedV1], into: list[str]) -> None:
        into.append(f"stop {event.body.token.version}")

    @made.on(TokenIssuedV1)
    async def start(event: Event[TokenIssuedV1], into: list[str]) -> None:
        into.append(f"start {event.body.token.version}")

    return made


async def test_each_event_goes_to_the_handlers_of_its_type(follower: Follower[list[str]], effects: list[str]) -> None:
    await follower.handle(example(TokenIssuedV1, version=1))
    await follower.handle(example(TokenRevokedV1, "user_removed_app", version=2))
    await follower.handle(example(TokenStateV1, version=2))
    assert effects == ["start 1", "stop 2"]
    assert follower.topics == ("token.issued", "token.revoked")


async def test_a_repeat_has_no_second_effect(follower: Follower[list[str]], effects: list[str]) -> None:
    event = example(TokenRevokedV1, version=2)
    for _ in range(3):
        await follower.handle(event)
    assert effects == ["stop 2"]


async def test_what_was_overtaken_on_another_topic_has_no_effect(
    follower: Follower[list[str]], effects: list[str]
) -> None:
    token_id = uuid4()
    await follower.handle(example(TokenRevokedV1, version=7, token_id=token_id))
    await follower.handle(example(TokenIssuedV1, version=6, token_id=token_id))
    await follower.handle(example(TokenIssuedV1, version=6, token_id=uuid4()))
    assert effects == ["stop 7", "start 6"]


async def test_an_error_takes_the_note_back_and_the_event_has_its_effect_later(
    follower: Follower[list[str]], effects: list[str]
) -> None:
    fail = True

    @follower.on(TokenRevokedV1)
    async def stumble(_event: Event[TokenRevokedV1], _into: list[str]) -> None:
        if fail:
            raise ConnectionError("the database is away")

    event = example(TokenRevokedV1)
    with pytest.raises(ConnectionError):
        await follower.handle(event)
    fail = False
    await follower.handle(event)
    assert len(effects) == 2  # an inbox on a list cannot undo the first


async def test_nothing_to_handle_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="decorate a function with `on`"):
        await Follower(KAFKA, "nobody", MemoryInbox(None)).run(asyncio.Event())


@pytest.mark.parametrize("body", EVENT_TYPES.values(), ids=lambda body: str(body.TYPE))
def test_every_type_has_an_example(body: type[EventBody]) -> None:
    event = example(body)
    assert event.type == body.TYPE
    assert event.body.aggregate_version() >= 0


def test_an_unknown_example_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there are forced_logout, user_removed_app"):
        example(TokenRevokedV1, "rained")
