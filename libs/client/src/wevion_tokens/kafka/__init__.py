"""Kafka with the promises of these events: manual commits, dead letters, time limits. Needs the extra `events`.

Topic names in code are the contract's (`token.issued`); the prefix of `KafkaSettings` is put on and taken off here.
"""

from wevion_tokens.kafka.connection import KafkaSettings
from wevion_tokens.kafka.consumer import EventConsumer
from wevion_tokens.kafka.dead_letter import VALUE_LEFT_OUT, DeadLetterLimit, dead_letter
from wevion_tokens.kafka.handling import BatchHandler, Handler, InBatches, Purged
from wevion_tokens.kafka.producer import EventProducer, Outgoing
from wevion_tokens.kafka.reader import Record, TopicReader

__all__ = [
    "VALUE_LEFT_OUT",
    "BatchHandler",
    "DeadLetterLimit",
    "EventConsumer",
    "EventProducer",
    "Handler",
    "InBatches",
    "KafkaSettings",
    "Outgoing",
    "Purged",
    "Record",
    "TopicReader",
    "dead_letter",
]
