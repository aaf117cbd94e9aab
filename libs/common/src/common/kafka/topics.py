"""The topics of the contract on a cluster: what is missing or different, and how it is brought in line.

Nothing relies on the broker's auto-creation. What differs is decided first (`differences`, pure) and applied then, so a
dry run shows what would be done.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from common.contracts import DEFAULT_PARTITIONS, TOPICS
from common.runtime.errors import RetryableError
from wevion_tokens.contracts.topics import DLQ_RETENTION_MS
from wevion_tokens.kafka.connection import KafkaSettings

ADMIN_TIMEOUT_S = 30.0
METADATA_PAUSE_S = 0.1
_SET_ON_THE_TOPIC = 1
"""`config_source` of a value that is set on the topic itself, and is no default (KIP-226)."""
REPUBLISH = "states of a key move to another partition: afterwards run `republish` of each owner"


class TopicError(Exception):
    """The cluster refuses a topic, or has it in a form that the contract does not allow."""


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """One topic as it has to be; `name` is the name on the cluster."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One topic as it is. `config` has every value, `own` the ones that are set on the topic itself."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)


class TopicAction(StrEnum):
    """What is done about a difference."""

    CREATE = "create"
    ALTER = "alter"
    ADD = "add partitions"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a topic is not as it has to be."""

    topic: str
    setting: str
    now: str
    wanted: str
    action: TopicAction
    note: str = ""

    def document(self) -> dict[str, str]:
        """Return the difference for programs."""
        return asdict(self)


def wanted_topics(
    settings: KafkaSettings, *, partitions: int, replication_factor: int, min_insync_replicas: int
) -> list[WantedTopic]:
    """Return each topic of the contract and its dead-letter topic, as they have to be on this cluster.

    Args:
        settings: for the prefix of the names.
        partitions: of each topic; dead-letter topics have one.
        replication_factor: copies of each partition.
        min_insync_replicas: copies that must have a record before it counts as written.

    """
    insync = {"min.insync.replicas": str(min_insync_replicas)}
    dlq = {"cleanup.policy": "delete", "retention.ms": str(DLQ_RETENTION_MS)} | insync
    found = []
    for topic in TOPICS.values():
        name, config = settings.wire_name(topic.name), topic.config() | insync
        found.append(WantedTopic(name, partitions, replication_factor, config, topic.compacted))
        found.append(WantedTopic(settings.wire_name(topic.dlq), 1, replication_factor, dlq))
    return found


def differences(wanted: Sequence[WantedTopic], found: Mapping[str, Found]) -> list[Difference]:
    """Return what has to be done, in the order of `wanted`."""
    result: list[Difference] = []
    for topic in wanted:
        now = found.get(topic.name)
        if now is None:
            result.append(Difference(topic.name, "topic", "-", f"{topic.partitions} partitions", TopicAction.CREATE))
            continue
        for name, value in topic.config.items():
            if now.config.get(name) != value:
                result.append(Difference(topic.name, name, now.config.get(name, "-"), value, TopicAction.ALTER))
        result += _other(topic, "partitions", now.partitions, topic.partitions)
        result += _other(topic, "replication factor", now.replication_factor, topic.replication_factor)
    return result


def _other(topic: WantedTopic, setting: str, now: int, wanted: int) -> list[Difference]:
    if now == wanted:
        return []
    action, note = TopicAction.REFUSE, ""
    if setting == "replication factor":
        note = "move the replicas with kafka-reassign-partitions, or set WEVION_KAFKA_REPLICATION_FACTOR to match"
    elif now > wanted:
        note = "Kafka takes no partitions away: set WEVION_KAFKA_PARTITIONS to match"
    else:
        action, note = TopicAction.ADD, REPUBLISH if topic.compacted else ""
    return [Difference(topic.name, setting, str(now), str(wanted), action, note)]


async def compare(settings: KafkaSettings, wanted: Sequence[WantedTopic]) -> list[Difference]:
    """Return in what the cluster differs.

    Raises:
        RetryableError: the cluster does not answer.

    """
    async with _admin(settings) as admin:
        return differences(wanted, await _describe(admin, wanted))


async def bring_in_line(settings: KafkaSettings, wanted: Sequence[WantedTopic]) -> list[Difference]:
    """Create what is missing and alter what differs; safe to repeat. Returns what was done, and what was refused.

    Raises:
        RetryableError: the cluster does not answer.
        TopicError: it refuses.

    """
    async with _admin(settings) as admin:
        found = await _describe(admin, wanted)
        todo = differences(wanted, found)
        await _create(admin, [topic for topic in wanted if topic.name not in found])
        added = {one.topic: NewPartitions(int(one.wanted)) for one in todo if one.action is TopicAction.ADD}
        try:
            if added:
                await admin.create_partitions(added)
        except KafkaError as error:
            raise TopicError(str(error)) from error
        altered = {one.topic for one in todo if one.action is TopicAction.ALTER}
        # The whole configuration each time: what is not named would fall back to the broker's default.
        configs = {topic.name: {**found[topic.name].own, **topic.config} for topic in wanted if topic.name in altered}
        if configs:
            resources = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in configs.items()]
            for answer in await admin.alter_configs(resources):
                for code, message, _, name in answer.resources:
                    if code != 0:
                        raise TopicError(f"{name}: {for_code(code).__name__} {message or ''}")
        return todo


async def create_topics(
    settings: KafkaSettings, *, partitions: int = DEFAULT_PARTITIONS, replication_factor: int = 1
) -> list[str]:
    """Create the topics that are missing, and return their names. Others stay as they are.

    Raises:
        RetryableError: the cluster does not answer.
        TopicError: it refuses.

    """
    wanted = wanted_topics(
        settings, partitions=partitions, replication_factor=replication_factor, min_insync_replicas=1
    )
    async with _admin(settings) as admin:
        return await _create(admin, wanted)


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**settings.client_arguments())
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            await admin.start()
            try:
                yield admin
            finally:
                await admin.close()
    except (KafkaError, TimeoutError, OSError) as error:
        raise RetryableError("Kafka does not answer") from error


async def _create(admin: AIOKafkaAdminClient, wanted: Sequence[WantedTopic]) -> list[str]:
    # The controller alone knows what exists, a broker's list may lag behind it: so "exists already" is no error.
    if not wanted:
        return []
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
            for topic in wanted
        ]
    )
    new: list[str] = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            new.append(name)
        elif code != TopicAlreadyExistsError.errno:
            raise TopicError(f"{name}: {for_code(code).__name__} {' '.join(str(part) for part in message)}")
    # Until the broker knows them too: who reads next would otherwise be told that there is no such topic.
    missing = [topic.name for topic in wanted]
    while missing:
        described = await admin.describe_topics(missing)
        missing = [one["topic"] for one in described if one["error_code"] != 0 or not one["partitions"]]
        if missing:
            await asyncio.sleep(METADATA_PAUSE_S)
    return new


async def _describe(admin: AIOKafkaAdminClient, wanted: Sequence[WantedTopic]) -> dict[str, Found]:
    partitions: dict[str, list[Any]] = {}
    for one in await admin.describe_topics([topic.name for topic in wanted]):
        if one["error_code"] == 0:
            partitions[one["topic"]] = one["partitions"]
        elif one["error_code"] != UnknownTopicOrPartitionError.errno:
            raise TopicError(f"{one['topic']}: {for_code(one['error_code']).__name__}")
    if not partitions:
        return {}
    values: dict[str, dict[str, str]] = {name: {} for name in partitions}
    own: dict[str, dict[str, str]] = {name: {} for name in partitions}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in partitions]
    for answer in await admin.describe_configs(resources):
        for code, message, _, name, entries in answer.resources:
            if code != 0:
                raise TopicError(f"{name}: {for_code(code).__name__} {message or ''}")
            for key, value, _, source, *_ in entries:
                values[name][key] = value
                if source == _SET_ON_THE_TOPIC:
                    own[name][key] = value
    return {
        name: Found(len(found), len(found[0]["replicas"]), values[name], own[name])
        for name, found in partitions.items()
    }
