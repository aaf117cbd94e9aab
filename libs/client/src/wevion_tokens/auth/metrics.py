"""What every verifier counts."""

from wevion_tokens.auth.refusals import Reason
from wevion_tokens.telemetry import metrics

VERIFICATIONS = metrics.counter(
    "wevion_auth_verifications_total",
    "Tokens verified, by outcome: cached, verified, or the reason of the refusal.",
    {"outcome": ("cached", "verified", *Reason)},
)
JWKS_FETCHES = metrics.counter(
    "wevion_auth_jwks_fetches_total", "Fetches of the key set, by outcome.", {"outcome": ("ok", "failed")}
)
UNKNOWN_KEYS = metrics.counter(
    "wevion_auth_unknown_keys_total", "Tokens that named a key which the key set does not have, also after a refetch."
)
REVOKED_SESSIONS = metrics.gauge("wevion_auth_revoked_sessions", "Sessions in the revocation set.")
REVOCATIONS_BEHIND = metrics.gauge(
    "wevion_auth_revocations_behind_seconds",
    "For how long revocations may have been missed: 0 or about a second while token.state is followed.",
)
FEED_RECORDS = metrics.counter(
    "wevion_auth_revocation_records_total",
    "Records read from token.state, by what they did.",
    {"effect": ("applied", "no_effect", "tombstone", "other_kind", "invalid")},
)
FEED_DELAY = metrics.histogram(
    "wevion_auth_revocation_delay_seconds",
    "From the revocation's event time to its being in force here; live records only.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0),
)
