"""What the relay counts."""

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
