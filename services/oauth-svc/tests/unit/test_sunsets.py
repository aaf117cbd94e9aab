"""The day on which a version of a platform's API ends is a figure that an alert can read."""

from datetime import UTC, datetime

from common.platforms import PLATFORMS
from common.telemetry import metrics as read
from oauth_svc import metrics


def test_the_last_day_of_a_called_version_is_shown() -> None:
    metrics.tell_sunsets({"meta": "v25.0", "google-ads": "v99"})
    shown = read.value("wevion_oauth_api_sunset_timestamp_seconds", {"provider": "meta", "version": "v25.0"})
    assert datetime.fromtimestamp(shown, UTC).date() == PLATFORMS["meta"].sunsets["v25.0"]


def test_no_default_is_a_version_that_has_ended() -> None:
    checked = datetime(2026, 12, 1, tzinfo=UTC).date()
    for platform in PLATFORMS.values():
        assert platform.sunsets.get(platform.api_version, checked) >= checked
