"""Metrics of a service: the catalogue of `wevion_tokens.telemetry.metrics`, and what tells of the process itself."""

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector

from wevion_tokens.telemetry.metrics import (
    REGISTRY,
    Catalogue,
    Counter,
    Gauge,
    Histogram,
    counter,
    from_zero,
    gauge,
    histogram,
    info,
    names,
    render,
    value,
)

__all__ = [
    "REGISTRY",
    "Catalogue",
    "Counter",
    "Gauge",
    "Histogram",
    "counter",
    "from_zero",
    "gauge",
    "histogram",
    "info",
    "names",
    "render",
    "value",
]

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)
