"""`common topics` and `common replay` on a real Kafka, as an operator calls them."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from common.__main__ import OperatorSettings
from common.contracts import (
    TOPICS,
    Event,
    TokenKind,
    TokenRef,
    TokenStateV1,
    TokenStatus,
    encode_body,
    encode_headers,
)
from common.kafka import EventProducer, Outgoing, TopicReader, dead_letter
from common.runtime.ids import new_id
from common.testing import eventually
from common.testing.stack import KafkaForTest
from wevion_tokens.kafka.dead_letter import VALUE_LEFT_OUT

NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)


async def common(kafka: KafkaForTest, *arguments: str, **more: str) -> tuple[int, str, str]:
    """The command's exit status and what it printed."""
    settings = {
        "WEVION_KAFKA_BOOTSTRAP_SERVERS": kafka.settings.bootstrap_servers,
        "WEVION_KAFKA_TOPIC_PREFIX": kafka.settings.topic_prefix,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "common", *arguments),
        env=settings | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def configuration(kafka: KafkaForTest, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.settings.bootstrap_servers)
    await admin.start()
    try:
        name = kafka.settings.wire_name(topic)
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}
    finally:
        await admin.close()


async def alter(kafka: KafkaForTest, topic: str, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.settings.bootstrap_servers)
    await admin.start()
    try:
        values = {name.replace("_", "."): value for name, value in config.items()}
        name = kafka.settings.wire_name(topic)
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, values)])
    finally:
        await admin.close()


async def test_topics_that_differ_are_shown_then_brought_in_line(kafka: KafkaForTest) -> None:
    await alter(kafka, "token.issued", retention_ms="60000", max_message_bytes="2000000")
    name = kafka.settings.wire_name("token.issued")
    status, out, _ = await common(kafka, "topics", "--dry-run", "--json")
    wanted = str(TOPICS["token.issued"].retention_ms)
    found = [one for one in json.loads(out) if one["topic"] == name]
    assert status == 0
    assert [(one["setting"], one["now"], one["wanted"], one["action"]) for one in found] == [
        ("retention.ms", "60000", wanted, "alter")
    ]
    assert (await configuration(kafka, "token.issued"))["retention.ms"] == "60000", "a dry run changes nothing"
    status, out, _ = await common(kafka, "topics")
    assert status == 0
    assert "retention.ms" in out
    after = await configuration(kafka, "token.issued")
    assert after["retention.ms"] == wanted
    assert after["max.message.bytes"] == "2000000", "what the contract does not name stays"
    status, out, _ = await common(kafka, "topics")
    assert (status, out) == (0, f"{2 * len(TOPICS)} topics are as they have to be\n")


async def test_partitions_are_added_and_a_reader_finds_them(kafka: KafkaForTest) -> None:
    seen: list[int] = []
    reader = TopicReader(kafka.settings, "token.state", start="latest")

    async def follow() -> None:
        async for record in reader:
            seen.append(record.partition)  # noqa: PERF401  it never ends

    following = asyncio.create_task(follow())
    await eventually(reader.caught_up.is_set)
    status, out, _ = await common(kafka, "topics", WEVION_KAFKA_PARTITIONS="5")
    assert status == 0
    assert "republish" in out
    producer = EventProducer(kafka.settings)

    async def all_partitions_are_read() -> bool:
        await producer.send_all([Outgoing("token.state", str(new_id()).encode(), None) for _ in range(20)])
        return set(seen) == set(range(5))

    await eventually(all_partitions_are_read, 60)
    following.cancel()
    await producer.stop()
    status, out, err = await common(kafka, "topics")
    assert status == 1
    assert "Kafka takes no partitions away" in out, err


def state(token_id: UUID, version: int, status: TokenStatus) -> Event[Any]:
    token = TokenRef(
        token_id=token_id,
        kind=TokenKind.SESSION,
        provider="wevion",
        workspace_id=new_id(),
        owner_user_id=new_id(),
        version=version,
    )
    return Event(id=new_id(), time=NOW, source="session-svc", body=TokenStateV1(token=token, status=status, since=NOW))


def letter(event: Event[Any], offset: int, reason: str = "KeyError: 'x'") -> Outgoing:
    return dead_letter(
        topic=event.topic,
        partition=0,
        offset=offset,
        key=event.body.subject().encode(),
        value=encode_body(event.body),
        headers=encode_headers(event),
        consumer="expiry-watcher",
        reason=reason,
    )


def record(event: Event[Any]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


async def test_on_a_compacted_topic_only_what_is_newest_is_sent(kafka: KafkaForTest) -> None:
    """An older state sent last would be what compaction keeps, and undo a revocation."""
    ended, alone, purged, large = (new_id() for _ in range(4))
    producer = EventProducer(kafka.settings)
    tombstone = Outgoing("token.state", str(purged).encode(), None)
    await producer.send_all([record(state(ended, 5, TokenStatus.REVOKED)), tombstone])
    left_out = letter(state(large, 1, TokenStatus.ACTIVE), 3)
    await producer.send_all(
        [
            letter(state(ended, 4, TokenStatus.ACTIVE), 0, "first line\nsecond line"),
            letter(state(alone, 2, TokenStatus.ACTIVE), 1),
            letter(state(purged, 2, TokenStatus.ACTIVE), 2),
            Outgoing(left_out.topic, left_out.key, None, (*left_out.headers, (VALUE_LEFT_OUT, b"elsewhere"))),
        ]
    )
    await producer.stop()
    status, out, err = await common(kafka, "replay", "send", "token.state", "all")
    assert status == 1
    assert out.splitlines() == ["sent again: token.state 1 wevion.token.state.v1"]
    assert "version 5 of its key; version 4 would take its place" in err
    assert "purged" in err
    assert "too large" in err
    held = [item async for item in TopicReader(kafka.settings, "token.state").present()]
    assert {item.key for item in held if item.value is not None} == {str(ended), str(alone)}


async def test_letters_are_filtered_and_what_was_sent_is_not_listed(kafka: KafkaForTest) -> None:
    producer = EventProducer(kafka.settings)
    events = [state(new_id(), 1, TokenStatus.ACTIVE) for _ in range(3)]
    await producer.send_all([letter(event, at, f"reason {at}\nmore") for at, event in enumerate(events)])
    await producer.stop()
    _, out, _ = await common(kafka, "replay", "list")
    assert len(out.splitlines()) == 4, "a reason of two lines is one cell"
    _, out, _ = await common(kafka, "replay", "list", "--reason", "reason 2", "--json")
    assert [one["offset"] for one in json.loads(out)] == [2]
    _, out, _ = await common(kafka, "replay", "list", "--consumer", "notifier")
    assert out == "no dead letters\n"
    status, _, err = await common(kafka, "replay", "send", "token.state", "2")
    assert status == 0, err
    _, out, _ = await common(kafka, "replay", "list", "token.state", "--json")
    assert [one["offset"] for one in json.loads(out)] == [0, 1]
    _, out, _ = await common(kafka, "replay", "list", "token.state", "--sent", "--json")
    assert [one["offset"] for one in json.loads(out)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["replay", "send", "token.state"], "say which"),
        (["replay", "show", "token.state", "x"], "is not an offset"),
        (["replay", "list", "token.unheard_of"], "is not a topic"),
        (["replay", "show", "token.issued", "7"], "no dead letter 7"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(kafka: KafkaForTest, arguments: list[str], rule: str) -> None:
    status, _, err = await common(kafka, *arguments)
    assert status == 1
    assert rule in err


def test_operators_reach_a_secured_cluster_by_the_settings_of_the_services() -> None:
    settings = OperatorSettings(
        kafka_bootstrap_servers="kafka.example:9093",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username="operator",
        kafka_sasl_password="hunter2",
    )
    arguments = settings.kafka("x").client_arguments()
    assert arguments["security_protocol"] == "SASL_PLAINTEXT"
    assert arguments["sasl_plain_password"] == "hunter2"
    assert "hunter2" not in repr(settings.kafka("x"))


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "WEVION_KAFKA_SASL_USERNAME"),
        ({"kafka_certificate_file": "/run/secrets/tls.crt"}, "go together"),
    ],
)
def test_half_a_secured_cluster_is_refused(more: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        OperatorSettings(kafka_bootstrap_servers="kafka.example:9093", **more)


@pytest.mark.parametrize(("copies", "insync"), [(1, 1), (2, 1), (3, 2)])
def test_one_copy_may_be_missing(copies: int, insync: int) -> None:
    assert OperatorSettings(kafka_bootstrap_servers="x", kafka_replication_factor=copies).insync == insync
