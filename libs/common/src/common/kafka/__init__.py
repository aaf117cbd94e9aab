"""Kafka: an idempotent producer with time limits, consumers with manual commits, dead letters, topics.

Topic names in code are the contract's (`token.issued`); the prefix of `KafkaSettings` is put on and taken off here.
"""

from common.kafka.connection import KafkaSettings
from common.kafka.consumer import EventConsumer, Handler
from common.kafka.dead_letter import DeadLetterLimit, dead_letter
from common.kafka.producer import EventProducer, Outgoing
from common.kafka.reader import Record, TopicReader
from common.kafka.topics import TopicError, create_topics

__all__ = [
    "DeadLetterLimit",
    "EventConsumer",
    "EventProducer",
    "Handler",
    "KafkaSettings",
    "Outgoing",
    "Record",
    "TopicError",
    "TopicReader",
    "create_topics",
    "dead_letter",
]
