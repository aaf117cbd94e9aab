"""What every HTTP server counts."""

from common.telemetry import metrics

REQUEST_DURATION = metrics.histogram(
    "wevion_http_request_duration_seconds",
    "Time from the parsed request to the finished answer, by route template; its count is the number of requests.",
    ("method", "route", "status"),
)
REQUESTS_IN_FLIGHT = metrics.gauge("wevion_http_requests_in_flight", "Requests that are being answered now.")
UNREADABLE_REQUESTS = metrics.counter(
    "wevion_http_unreadable_requests_total", "What arrived and is not HTTP, or has a head beyond the limits."
)
REFUSED_CONNECTIONS = metrics.counter(
    "wevion_http_refused_connections_total", "Connections that were closed at once: their address had too many already."
)
READY = metrics.gauge("wevion_ready", "1 while a readiness check says yes, by check; asked at each scrape.", ("check",))
