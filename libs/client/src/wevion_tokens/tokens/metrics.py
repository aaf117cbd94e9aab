"""What the client of access tokens counts. Tokens from the cache are not: they are too many, and say nothing."""

from wevion_tokens.telemetry import metrics

FETCHES = metrics.counter(
    "wevion_client_access_tokens_total",
    "Access tokens asked for at oauth-svc, by outcome.",
    {"outcome": ("served", "ended", "not_yet", "refused", "unavailable")},
)
REFUSALS = metrics.counter(
    "wevion_client_platform_refusals_total",
    "Platforms' refusals that were reported, by how they were judged.",
    {"classification": ("none", "our_bug", "rate_limited", "reauthorize", "retry_later", "unknown_outcome")},
)
DROPS = metrics.counter("wevion_client_changes_total", "Changes of connections and accounts that the cache was told.")
