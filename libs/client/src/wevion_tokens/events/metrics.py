"""What a follower measures beside what every consumer does (`wevion_tokens.kafka.metrics`: lag, dead letters)."""

from wevion_tokens.telemetry import metrics

DELAY = metrics.histogram(
    "wevion_client_event_delay_seconds",
    "From an event's time to the commit of its effect here.",
    ("group", "topic"),
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0),
)
EFFECTS = metrics.counter(
    "wevion_client_events_total", "Events by what became of them: handled, or passed over.", ("group", "effect")
)
EFFECT_VALUES = ("handled", "repeated_or_overtaken", "not_followed")
