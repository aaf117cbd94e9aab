"""Metric catalogue of oauth-svc: name, type, meaning. Labels are bounded: never an account, a user or a workspace."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time

from common.contracts import INCIDENT_VERDICTS, PLATFORM_VERDICTS, IssuedHow
from common.platforms import PLATFORMS
from common.telemetry.metrics import counter, from_zero, gauge, histogram

REFRESH_CLASSES = ("refreshed", *PLATFORM_VERDICTS, "internal_error")

REFRESHES = counter("wevion_oauth_refreshes_total", "Settled refresh attempts by outcome class.", ("provider", "class"))
REFRESH_SECONDS = histogram(
    "wevion_oauth_refresh_duration_seconds", "Provider's time for one token request.", ("provider",)
)
DUE = gauge(
    "wevion_oauth_refreshes_due",
    "Refreshes that are due while the access token still works (in_time), or planned though it has ended (lapsed).",
    ("provider", "access_token"),
)
ENDED = counter("wevion_oauth_grants_ended_total", "Grants that ended, by cause.", ("provider", "cause"))
PURGED = counter("wevion_oauth_grants_purged_total", "Dead grants whose credentials were forgotten.", ("provider",))
CONNECTS = counter("wevion_oauth_connects_total", "Finished consents by outcome code.", ("provider", "outcome"))
WEBHOOKS = counter("wevion_oauth_webhooks_total", "Webhooks by what became of them.", ("provider", "outcome"))
IN_TESTING = counter(
    "wevion_oauth_app_in_testing_total",
    "Grants that live as long as those of an app that is not published: as the platform stated it, or as they ended.",
    ("provider", "seen"),
)
OPERATIONS = counter(
    "wevion_oauth_operations_total",
    "What platforms counted of our lists of accounts against the quota of a day.",
    ("provider",),
)
OPERATIONS_BUDGET = gauge(
    "wevion_oauth_operations_budget", "Operations that a platform lets our project do in a day, as set.", ("provider",)
)
CALLS_FAILED = counter(
    "wevion_oauth_calls_failed_total",
    "Failed calls that are no refresh, by what was asked (probe, list, report) and the class of the answer.",
    ("provider", "call", "class"),
)
UNRECOGNISED = counter(
    "wevion_oauth_unrecognised_answers_total",
    "Answers that no row of a provider's table knows; each needs a look.",
    ("provider",),
)
LISTS_DOUBTED = counter(
    "wevion_oauth_account_lists_doubted_total",
    "Lists that lacked most accounts of a living grant; each is asked for again before it is believed.",
    ("provider",),
)
TOKENS_SERVED = counter(
    "wevion_oauth_access_tokens_served_total",
    "Access-token requests of services by result.",
    {"result": ("served", "refreshed", "stale", "unavailable", "dead")},
)
INCIDENTS = counter("wevion_oauth_incidents_total", "Platform incidents opened, by reason.", ("provider", "reason"))
INCIDENT_OPEN = gauge("wevion_oauth_incident_open", "1 while a platform incident is open.", ("provider",))
CONNECTIONS = gauge("wevion_oauth_connections", "Connections by status.", ("provider", "status"))
IN_TROUBLE = gauge(
    "wevion_oauth_connections_in_trouble",
    "Living connections whose last refresh or probe failed, by its class and by how long they are in their status.",
    ("provider", "class", "age"),
)
IN_FLIGHT = gauge("wevion_oauth_refreshes_in_flight", "Provider calls under way in this process.", ("provider",))
CIPHERTEXTS = gauge(
    "wevion_oauth_ciphertexts",
    "Ciphertexts by the key-encryption key behind their data key, and the data key's state.",
    ("kek", "state"),
)

COMPARED = gauge(
    "wevion_oauth_database_compared",
    "1 when this process has compared its database with token.state; until then no single-use credential is presented.",
)
HELD = gauge(
    "wevion_oauth_connections_held",
    "Living connections whose credential a restored database may hold spent, and which no refresh has settled yet.",
    ("provider",),
)
API_SUNSET = gauge(
    "wevion_oauth_api_sunset_timestamp_seconds",
    "When the API version that is called is no longer served, as the platform announced it.",
    ("provider", "version"),
)

RISC_VERIFIED = gauge(
    "wevion_oauth_risc_verified_timestamp_seconds",
    "When the stream of security events last brought what we had asked it to bring; 0 while it never did.",
    ("provider",),
)


def tell_sunsets(versions: Mapping[str, str]) -> None:
    """Show when each version that is called ends; one whose end is not announced is left out."""
    for provider, version in versions.items():
        last_day = PLATFORMS[provider].sunsets.get(version)
        if last_day is not None:
            API_SUNSET.labels(provider, version).set(datetime.combine(last_day, time.max, UTC).timestamp())


def tell_budgets(budgets: Mapping[str, int]) -> None:
    """Show how many operations a day each platform allows; one that is not set is left out."""
    for provider, budget in budgets.items():
        OPERATIONS_BUDGET.labels(provider).set(budget)


def begin(providers: Iterable[str]) -> None:
    """Make the counters of these providers exist at zero, so that the first failure is an increase."""
    ids = tuple(providers)
    from_zero(REFRESHES, {"provider": ids, "class": REFRESH_CLASSES})
    refusals = ("our_fault", "platform_unavailable", "start_again")
    from_zero(CONNECTS, {"provider": ids, "outcome": (*refusals, *(how.value for how in IssuedHow))})
    from_zero(WEBHOOKS, {"provider": ids, "outcome": ("refused", "repeated", "taken")})
    from_zero(INCIDENTS, {"provider": ids, "reason": list(INCIDENT_VERDICTS)})
    from_zero(CALLS_FAILED, {"provider": ids, "call": ("probe", "list", "report"), "class": REFRESH_CLASSES[1:]})
    from_zero(IN_TESTING, {"provider": ids, "seen": ("stated", "ended")})
    for one in (UNRECOGNISED, PURGED, OPERATIONS):
        from_zero(one, {"provider": ids})
