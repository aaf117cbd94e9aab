"""Create the topics of the contract. Nothing relies on the broker's auto-creation."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from common.contracts import DEFAULT_PARTITIONS, TOPICS
from common.contracts.topics import DLQ_RETENTION_MS
from common.kafka.connection import KafkaSettings
from common.runtime.errors import RetryableError

ADMIN_TIMEOUT_S = 30.0
METADATA_PAUSE_S = 0.1


class TopicError(Exception):
    """The cluster refuses a topic, or has it in a form that the contract does not allow."""


async def create_topics(
    settings: KafkaSettings, *, partitions: int = DEFAULT_PARTITIONS, replication_factor: int = 1
) -> list[str]:
    """Create each topic of the contract and its dead-letter topic; returns the names that are new.

    Safe to run again and from several places at once.

    Raises:
        RetryableError: the cluster does not answer.
        TopicError: it refuses, or an existing topic has another number of partitions (which would break the order).

    """
    wanted: dict[str, tuple[int, dict[str, str]]] = {}
    for topic in TOPICS.values():
        wanted[settings.wire_name(topic.name)] = (partitions, topic.config())
        wanted[settings.wire_name(topic.dlq)] = (1, {"cleanup.policy": "delete", "retention.ms": str(DLQ_RETENTION_MS)})
    admin = AIOKafkaAdminClient(**settings.client_arguments())
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            await admin.start()
            try:
                return await _create(admin, wanted, replication_factor)
            finally:
                await admin.close()
    except (KafkaError, TimeoutError, OSError) as error:
        raise RetryableError("Kafka does not answer") from error


async def _create(
    admin: AIOKafkaAdminClient, wanted: dict[str, tuple[int, dict[str, str]]], replication_factor: int
) -> list[str]:
    # All are asked for each time: the controller alone knows what exists, a broker's list may lag behind it.
    answer = await admin.create_topics(
        [NewTopic(name, count, replication_factor, topic_configs=config) for name, (count, config) in wanted.items()]
    )
    new: list[str] = []
    existing: list[str] = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            new.append(name)
        elif code == TopicAlreadyExistsError.errno:
            existing.append(name)
        else:
            raise TopicError(f"{name}: {for_code(code).__name__} {' '.join(str(part) for part in message)}")
    # Waits until the broker knows the new ones too: who reads next would otherwise be told that there is no such topic.
    partitions = await _partitions(admin, list(wanted))
    for name in existing:
        actual = partitions[name]
        if actual != wanted[name][0]:
            raise TopicError(
                f"{name} has {actual} partitions, not {wanted[name][0]}: set WEVION_KAFKA_PARTITIONS to match, or "
                "drain and re-create the topic (events of one key would change their partition)"
            )
    return new


async def _partitions(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Return how many partitions each topic has, as soon as the broker that is asked knows them all."""
    found: dict[str, int] = {}
    while missing := [name for name in names if name not in found]:
        for description in await admin.describe_topics(missing):
            if description["error_code"] == 0 and description["partitions"]:
                found[description["topic"]] = len(description["partitions"])
        if len(found) < len(names):
            await asyncio.sleep(METADATA_PAUSE_S)
    return found
