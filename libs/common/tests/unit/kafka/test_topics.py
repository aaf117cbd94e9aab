"""What is done about topics that are not as they have to be."""

from dataclasses import replace

import pytest

from common.contracts import TOPICS
from common.kafka import KafkaSettings
from common.kafka.topics import Difference, Found, TopicAction, WantedTopic, differences, wanted_topics

WANTED = WantedTopic("token.issued", 3, 1, {"retention.ms": "1000", "min.insync.replicas": "1"})
SAME = Found(3, 1, {"retention.ms": "1000", "min.insync.replicas": "1", "segment.bytes": "5"})


def only(found: Found, wanted: WantedTopic = WANTED) -> list[tuple[str, str, str, TopicAction]]:
    return [(one.setting, one.now, one.wanted, one.action) for one in differences([wanted], {wanted.name: found})]


def test_a_topic_as_it_has_to_be_is_left_alone() -> None:
    assert only(SAME) == []


def test_a_missing_topic_is_created() -> None:
    assert differences([WANTED], {}) == [Difference("token.issued", "topic", "-", "3 partitions", TopicAction.CREATE)]


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        (replace(SAME, partitions=2), ("partitions", "2", "3", TopicAction.ADD)),
        (replace(SAME, partitions=6), ("partitions", "6", "3", TopicAction.REFUSE)),
        (replace(SAME, replication_factor=3), ("replication factor", "3", "1", TopicAction.REFUSE)),
        (
            replace(SAME, config={**SAME.config, "retention.ms": "2000"}),
            ("retention.ms", "2000", "1000", TopicAction.ALTER),
        ),
        (
            replace(SAME, config={"retention.ms": "1000"}),
            ("min.insync.replicas", "-", "1", TopicAction.ALTER),
        ),
    ],
)
def test_each_difference_has_its_action(found: Found, difference: tuple[str, str, str, TopicAction]) -> None:
    assert only(found) == [difference]


def test_partitions_of_a_compacted_topic_come_with_what_to_do_afterwards() -> None:
    (found,) = differences([replace(WANTED, compacted=True)], {WANTED.name: replace(SAME, partitions=1)})
    assert found.action is TopicAction.ADD
    assert "republish" in found.note


def test_every_topic_and_its_dead_letters_are_wanted() -> None:
    settings = KafkaSettings(bootstrap_servers="x", client_id="x", topic_prefix="eu.")
    wanted = {
        topic.name: topic
        for topic in wanted_topics(settings, partitions=6, replication_factor=3, min_insync_replicas=2)
    }
    assert len(wanted) == 2 * len(TOPICS)
    state, letters = wanted["eu.token.state"], wanted["eu.token.state.dlq"]
    assert (state.partitions, state.compacted, state.config["cleanup.policy"]) == (6, True, "compact")
    assert (letters.partitions, letters.config["cleanup.policy"]) == (1, "delete")
    assert {topic.config["min.insync.replicas"] for topic in wanted.values()} == {"2"}
