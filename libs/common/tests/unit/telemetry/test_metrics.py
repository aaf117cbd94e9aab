"""Metrics: declared once, with bounded labels, shown in both formats."""

import pytest

from common.telemetry import metrics
from common.telemetry.metrics import Catalogue


def test_declared_again_it_is_the_same() -> None:
    catalogue = Catalogue()
    first = catalogue.counter("wevion_test_things_total", "Things.", ("provider",))
    assert catalogue.counter("wevion_test_things_total", "Things.", ("provider",)) is first
    first.labels("meta").inc(2)
    assert catalogue.value("wevion_test_things_total", {"provider": "meta"}) == 2
    assert catalogue.value("wevion_test_things_total", {"provider": "tiktok"}) == 0
    assert catalogue.names() == ("wevion_test_things_total",)


def test_declared_differently_it_is_refused() -> None:
    catalogue = Catalogue()
    catalogue.gauge("wevion_test_depth", "Depth.")
    with pytest.raises(ValueError, match="declared twice"):
        catalogue.gauge("wevion_test_depth", "Depth.", ("provider",))


@pytest.mark.parametrize("label", ["token_id", "user_id", "workspace_id", "email"])
def test_labels_without_bound_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match="no bound"):
        Catalogue().counter("wevion_test_things_total", "Things.", (label,))


def test_a_counter_says_total_and_everything_has_a_meaning() -> None:
    with pytest.raises(ValueError, match="_total"):
        Catalogue().counter("wevion_test_things", "Things.")
    with pytest.raises(ValueError, match="say what it means"):
        Catalogue().gauge("wevion_test_things", "")


def test_both_formats_and_no_created_series() -> None:
    catalogue = Catalogue()
    catalogue.counter("wevion_test_things_total", "Things.").inc()
    catalogue.histogram("wevion_test_seconds", "Time.").observe(0.2)
    catalogue.gauge("wevion_test_size", "Size.", read=lambda: 7)
    catalogue.info("wevion_build", "Which version.", {"version": "1"})
    text, text_type = catalogue.render()
    open_metrics, open_type = catalogue.render("application/openmetrics-text; version=1.0.0")
    assert text_type.startswith("text/plain")
    assert open_type.startswith("application/openmetrics-text")
    assert open_metrics.endswith(b"# EOF\n")
    for page in (text, open_metrics):
        assert b"_created" not in page
        assert b"wevion_test_size 7.0" in page
        assert b'wevion_build_info{version="1"} 1.0' in page


def test_the_process_shows_itself() -> None:
    page, _ = metrics.render()
    assert b"process_resident_memory_bytes" in page
    assert b"python_info" in page


def test_a_counter_with_closed_labels_begins_at_zero() -> None:
    catalogue = Catalogue()
    catalogue.counter("wevion_test_calls_total", "Calls.", {"provider": ("meta", "tiktok"), "outcome": ("ok", "bad")})
    page = catalogue.render()[0].decode()
    for provider in ("meta", "tiktok"):
        for outcome in ("ok", "bad"):
            assert f'wevion_test_calls_total{{outcome="{outcome}",provider="{provider}"}} 0.0' in page


def test_values_that_are_known_at_the_start_begin_at_zero_then() -> None:
    catalogue = Catalogue()
    calls = catalogue.counter("wevion_test_calls_total", "Calls.", ("provider",))
    assert b"provider" not in catalogue.render()[0]
    calls.labels("meta").inc()
    metrics.from_zero(calls, {"provider": ("meta", "tiktok")})
    page = catalogue.render()[0].decode()
    assert 'provider="meta"} 1.0' in page
    assert 'provider="tiktok"} 0.0' in page
