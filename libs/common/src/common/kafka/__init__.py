"""Kafka: an idempotent producer with time limits, consumers with manual commits, dead letters, topics.

Topic names in code are the contract's (`token.issued`); the prefix of `KafkaSettings` is put on and taken off here.
"""

from common.kafka.connection import KafkaSettings
from common.kafka.consumer import EventConsumer
from common.kafka.dead_letter import VALUE_LEFT_OUT, DeadLetterLimit, dead_letter
from common.kafka.handling import BatchHandler, Handler, InBatches, Purged
from common.kafka.options import KafkaOptions
from common.kafka.producer import EventProducer, Outgoing
from common.kafka.reader import Record, TopicReader
from common.kafka.topics import TopicError, create_topics

__all__ = [
    "VALUE_LEFT_OUT",
    "BatchHandler",
    "DeadLetterLimit",
    "EventConsumer",
    "EventProducer",
    "Handler",
    "InBatches",
    "KafkaOptions",
    "KafkaSettings",
    "Outgoing",
    "Purged",
    "Record",
    "TopicError",
    "TopicReader",
    "create_topics",
    "dead_letter",
]
