"""Create the topics of the contract. Nothing relies on the broker's auto-creation."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from common.contracts import DEFAULT_PARTITIONS, TOPICS
from common.contracts.topics import DLQ_RETENTION_MS
from common.kafka.connection import KafkaSettings
from common.runtime.errors import Retryable

ADMIN_TIMEOUT_S = 30.0


class TopicProblem(Exception):
    """The cluster refuses a topic, or has it in a form that the contract does not allow."""


async def create_topics(
    settings: KafkaSettings, *, partitions: int = DEFAULT_PARTITIONS, replication_factor: int = 1
) -> list[str]:
    """Create each topic of the contract and its dead-letter topic; returns the names that are new.

    Safe to run again and from several places at once.

    Raises:
        Retryable: the cluster does not answer.
        TopicProblem: it refuses, or an existing topic has another number of partitions (which would break the order).

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
        raise Retryable("Kafka does not answer") from error


async def _create(
    admin: AIOKafkaAdminClient, wanted: dict[str, tuple[int, dict[str, str]]], replication_factor: int
) -> list[str]:
    existing = set(await admin.list_topics())
    missing = [name for name in wanted if name not in existing]
    new: list[str] = []
    if missing:
        answer = await admin.create_topics(
            [NewTopic(name, wanted[name][0], replication_factor, topic_configs=wanted[name][1]) for name in missing]
        )
        for name, code, *message in answer.topic_errors:
            if code == 0:
                new.append(name)
            elif code != TopicAlreadyExistsError.errno:
                raise TopicProblem(f"{name}: {for_code(code).__name__} {' '.join(str(part) for part in message)}")
    for description in await admin.describe_topics([name for name in wanted if name in existing]):
        name, actual = description["topic"], len(description["partitions"])
        if actual != wanted[name][0]:
            raise TopicProblem(
                f"{name} has {actual} partitions, not {wanted[name][0]}: set WEVION_KAFKA_PARTITIONS to match, or "
                "drain and re-create the topic (events of one key would change their partition)"
            )
    return new
