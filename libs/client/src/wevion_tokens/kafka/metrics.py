"""What consumers count."""

from wevion_tokens.telemetry import metrics

CONSUMED = metrics.counter("wevion_kafka_consumed_total", "Events handled, by group and topic.", ("group", "topic"))
DEAD_LETTERS = metrics.counter(
    "wevion_kafka_dead_letters_total", "Records put aside on a dead-letter topic.", ("group", "topic")
)
LAG = metrics.gauge(
    "wevion_kafka_lag_records",
    "Records on the topic that the group has not committed.",
    ("group", "topic", "partition"),
)
PROGRESS = metrics.gauge(
    "wevion_kafka_progress_timestamp_seconds",
    "When the group last committed, or had nothing left to commit, on this member.",
    ("group",),
)
STOPPED = metrics.gauge(
    "wevion_kafka_consumer_stopped", "1 while so many dead letters came that the consumer has stopped.", ("group",)
)
