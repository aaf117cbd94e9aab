"""What the relay counts."""

from common.contracts import TOPICS
from common.telemetry import metrics

SENT = metrics.counter("wevion_outbox_sent_total", "Events that the broker has acknowledged.")
DEPTH = metrics.gauge("wevion_outbox_depth_rows", "Events waiting to be sent.", ("shard",))
OLDEST_AGE = metrics.gauge("wevion_outbox_oldest_age_seconds", "Age of the oldest waiting event.", ("shard",))
EPOCH = metrics.gauge("wevion_outbox_lease_epoch", "Epoch of the shard's lease that this process holds.", ("shard",))
EXPRESS = metrics.counter(
    "wevion_outbox_express_total",
    "Urgent events offered for sending at once, by whether they were sent or left to the relay.",
    {"outcome": ("sent", "left_to_relay")},
)
UNSENDABLE = metrics.counter(
    "wevion_outbox_unsendable_total",
    "Events that Kafka can never take, kept in the table outbox_unsendable.",
    {"topic": TOPICS},
)
