"""Metrics: declared once per process, by name, in a service's `metrics.py`.

    from wevion_tokens.telemetry import metrics
    REFRESHES = metrics.counter("wevion_oauth_refreshes_total", "Refreshes by outcome.", ("provider", "outcome"))

A counter whose labels come from closed lists says so, and every series of it exists from the start, at zero:

    SIGN_INS = metrics.counter("wevion_session_sign_ins_total", "…", {"outcome": ("signed_in", "refused")})

A series that is born with its first event has no increase that Prometheus could see. Values that are known only when
the service starts, such as providers, are given to `from_zero` there.

Declaring the same metric again (a module imported twice, as test runners do) gives the one that exists; declaring it
differently is an error. Labels come from closed lists: a label with an id in it is refused at declaration.

A program that already shows metrics of its own adds these to them:

    prometheus_client.REGISTRY.register(wevion_tokens.telemetry.metrics.REGISTRY)
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    exposition,
)
from prometheus_client.openmetrics import exposition as openmetrics

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
    "render",
    "value",
]

# Each counter would otherwise have a second series with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]

DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_FORBIDDEN_LABELS = frozenset(
    {"account_id", "chat_id", "email", "id", "session_id", "tenant_id", "token_id", "user_id", "workspace_id"}
)

M = TypeVar("M", Counter, Gauge, Histogram)


def from_zero(metric: Counter, labels: Mapping[str, Iterable[str]]) -> None:
    """Make every series of a counter exist at zero: each label with all the values that it can have."""
    for combination in itertools.product(*labels.values()):
        metric.labels(**dict(zip(labels, combination, strict=True)))


class Catalogue:
    """One registry and what is declared in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._declared: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def counter(self, name: str, meaning: str, labels: Sequence[str] | Mapping[str, Iterable[str]] = ()) -> Counter:
        """Return a number that only grows; the name ends in `_total`.

        Args:
            name: with the unit before `_total`, where there is one.
            meaning: what is counted, for people.
            labels: their names; or each name with all its values, and then every series begins at zero.

        Returns:
            The counter.

        Raises:
            ValueError: the name, the meaning or a label breaks a rule.

        """
        if not name.endswith("_total"):
            raise ValueError(f"counter {name}: the name must end in _total")
        found = self._declare(Counter, name, meaning, tuple(labels))
        if isinstance(labels, Mapping):
            from_zero(found, labels)
        return found

    def gauge(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, read: Callable[[], float] | None = None
    ) -> Gauge:
        """Return a number that goes up and down.

        Args:
            name: with its unit at the end.
            meaning: what it says, for people.
            labels: their names.
            read: is asked for the value at each scrape; without it the value is set.

        Returns:
            The gauge.

        Raises:
            ValueError: the name, the meaning or a label breaks a rule.

        """
        found = self._declare(Gauge, name, meaning, tuple(labels))
        if read is not None:
            found.set_function(read)
        return found

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = DURATION_BUCKETS_S
    ) -> Histogram:
        """Return a distribution; durations are in seconds and the name says so.

        Args:
            name: with its unit at the end.
            meaning: what is measured, for people.
            labels: their names.
            buckets: the upper bounds, in the unit of the name.

        Returns:
            The histogram.

        Raises:
            ValueError: the name, the meaning or a label breaks a rule.

        """
        return self._declare(Histogram, name, meaning, tuple(labels), buckets=tuple(buckets))

    def info(self, name: str, meaning: str, labels: Mapping[str, str]) -> None:
        """A constant 1 whose labels tell, such as the version."""
        known = self._declared.get(name)
        found = known[1] if known else Info(name, meaning, registry=self.registry)
        self._declared[name] = ((Info,), found)
        found.info(dict(labels))

    def names(self) -> tuple[str, ...]:
        """Return the names of everything declared; dashboards and alerts are checked against it."""
        return tuple(sorted(self._declared))

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """Return the present value of a sample (0 when it was never touched); for tests and readiness."""
        return self.registry.get_sample_value(name, dict(labels or {})) or 0.0

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its content type: OpenMetrics for those who accept it, else the text format."""
        if "application/openmetrics-text" in accept:
            page: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return page, openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_LATEST

    def _declare(self, kind: type[M], name: str, meaning: str, labels: tuple[str, ...], **more: Any) -> M:
        if not meaning:
            raise ValueError(f"metric {name}: say what it means")
        bad = sorted(_FORBIDDEN_LABELS.intersection(labels))
        if bad:
            raise ValueError(f"metric {name}: label {bad[0]} has no bound; count it by class, not by id")
        shape = (kind, labels, tuple(sorted(more.items())))
        known = self._declared.get(name)
        if known is not None:
            if known[0] != shape:
                raise ValueError(f"metric {name} is declared twice, differently")
            found: M = known[1]
            return found
        made = kind(name, meaning, labels, registry=self.registry, **more)
        self._declared[name] = (shape, made)
        return made


_PROCESS = Catalogue()
REGISTRY = _PROCESS.registry

counter = _PROCESS.counter
gauge = _PROCESS.gauge
histogram = _PROCESS.histogram
info = _PROCESS.info
names = _PROCESS.names
render = _PROCESS.render
value = _PROCESS.value
