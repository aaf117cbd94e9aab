"""What expiry-watcher counts. Labels come from closed lists; a stage that a workspace made up counts as "other"."""

from common.telemetry import metrics

STAGES = ("14d", "7d", "3d", "1d", "6h", "1h", "expired", "other")
LATENESS = {"under_1s": 1.0, "under_1m": 60.0, "under_1h": 3600.0, "over_1h": float("inf")}
"""Label: seconds late, below which it applies."""
_DELAY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 86400)

FACTS = metrics.counter(
    "wevion_expiry_watcher_facts_total",
    "Facts about tokens, by what they did: applied, stale or purged.",
    {"effect": ("applied", "stale", "purged")},
)
ANNOUNCED = metrics.counter(
    "wevion_expiry_watcher_announced_total", "Announcements made, by stage of the ladder.", {"stage": STAGES}
)
SUPPRESSED = metrics.counter(
    "wevion_expiry_watcher_suppressed_total",
    "Due steps with nothing to say: said before, renewed, or ended at the last moment.",
    ("reason",),
)
NOTICE_DELAY = metrics.histogram(
    "wevion_expiry_watcher_notice_delay_seconds",
    "From the moment a step was due to its announcement.",
    ("stage",),
    buckets=_DELAY_BUCKETS_S,
)
AT_CAPACITY = metrics.counter(
    "wevion_expiry_watcher_at_capacity_total",
    "Sweeps that left due work behind, by limit: batch or pace.",
    {"limit": ("batch", "pace")},
)
SWEEP_SECONDS = metrics.histogram("wevion_expiry_watcher_sweep_seconds", "How long one sweep took.")
BACKLOG = metrics.gauge(
    "wevion_expiry_watcher_backlog_steps", "Overdue steps (the first 10,000), by how late they are.", ("lateness",)
)
DIAGNOSES = metrics.counter(
    "wevion_expiry_watcher_diagnoses_total",
    "Answers to `which token is it`, by kind and confidence.",
    ("kind", "confidence"),
)


def stage_label(stage: str) -> str:
    """Return the stage as a bounded label."""
    return stage if stage in STAGES else "other"


def lateness_label(seconds: float) -> str:
    """Return how late, as a bounded label."""
    return next(name for name, limit in LATENESS.items() if seconds < limit)
