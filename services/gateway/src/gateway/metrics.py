"""What the gateway counts."""

from common.telemetry import metrics

PROXIED = metrics.counter(
    "wevion_gateway_requests_total", "Requests forwarded, by service and class of answer.", ("service", "outcome")
)
PROXY_SECONDS = metrics.histogram(
    "wevion_gateway_upstream_seconds", "Time to the first byte of a service's answer.", ("service",)
)
UPSTREAM_FAILURES = metrics.counter(
    "wevion_gateway_upstream_failures_total", "Calls of a service's URL that failed, by kind.", ("service", "kind")
)
REFUSED = metrics.counter("wevion_gateway_refused_total", "Requests refused at the edge, by code.", ("code",))
EXCHANGES = metrics.counter(
    "wevion_gateway_exchanges_total", "Cookies turned into a JWT, by where it came from.", ("outcome",)
)
CACHED_JWTS = metrics.gauge("wevion_gateway_cached_jwts", "JWTs held for cookies in use.")
LIVE_STREAMS = metrics.gauge("wevion_gateway_live_streams", "Browsers that follow the live updates.")
LIVE_EVENTS = metrics.counter(
    "wevion_gateway_live_events_total", "Events read for the live updates, by what became of them.", ("outcome",)
)
