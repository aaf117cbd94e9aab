"""What rule-pauser counts."""

from common.telemetry import metrics

EVENTS = metrics.counter(
    "wevion_rule_pauser_events_total", "Events about grants and accounts, by what they did.", ("effect",)
)
OUTCOMES = metrics.counter(
    "wevion_rule_pauser_outcomes_total", "Rules reconciled, by what reconciling did to them.", ("outcome",)
)
RECONCILIATION_SECONDS = metrics.histogram(
    "wevion_rule_pauser_settlement_seconds",
    "From the fact (a grant died or came back) to the last of its rules being reconciled.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 600, 3600),
)
INCIDENTS = metrics.gauge("wevion_rule_pauser_incidents", "Platforms whose rules are paused for an incident.")
BATCH_SECONDS = metrics.histogram("wevion_rule_pauser_batch_seconds", "How long one batch of rules took.")
OPEN = metrics.gauge("wevion_rule_pauser_open_settlements", "Reconciliations that are not finished.")
