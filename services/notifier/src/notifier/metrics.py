"""What the notifier counts. Labels come from closed lists: codes, channels, reasons, outcomes."""

from common.contracts import NoticeChannel
from common.telemetry import metrics

PUSHED = tuple(channel.value for channel in NoticeChannel if channel is not NoticeChannel.IN_APP)

NOTICES = metrics.counter("wevion_notifier_notices_total", "Notices made, one per person and fact.", ("code",))
SUPPRESSED = metrics.counter(
    "wevion_notifier_notices_suppressed_total", "Messages or facts that were not sent, by reason.", ("reason",)
)
RESOLVED = metrics.counter("wevion_notifier_conditions_resolved_total", "Facts that are over.", ("code", "resolution"))
DELIVERIES = metrics.counter(
    "wevion_notifier_deliveries_total",
    "Ends of attempts to deliver a message.",
    {"channel": PUSHED, "outcome": ("sent", "retry", "dropped", "failed", "unknown")},
)
DELAY = metrics.histogram(
    "wevion_notifier_notice_delay_seconds",
    "From the moment a message was due to the moment it was accepted.",
    ("channel",),
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
BACKLOG = metrics.gauge(
    "wevion_notifier_backlog_messages", "Messages that are due, are tried again, or are on their way.", ("channel",)
)
OLDEST = metrics.gauge(
    "wevion_notifier_oldest_delivery_age_seconds",
    "How long the oldest of these has been due; 0 for none.",
    ("channel",),
)
REFUSED_US = metrics.counter(
    "wevion_notifier_refusals_of_us_total",
    "Refusals that are about our sender, sign-in, token or host, and not about a message.",
    {"channel": PUSHED},
)
PEOPLE_FAILURES = metrics.counter(
    "wevion_notifier_people_fetch_failures_total", "Fetches of a workspace's people that failed."
)
EVENTS = metrics.counter("wevion_notifier_facts_total", "What events amounted to.", ("result",))
TELEGRAM_ANSWERS = metrics.counter(
    "wevion_notifier_telegram_answers_total", "What people who opened a link were answered.", ("answer",)
)
UNSUBSCRIBED = metrics.counter("wevion_notifier_unsubscribed_total", "Clicks that stopped a kind of mail.")
