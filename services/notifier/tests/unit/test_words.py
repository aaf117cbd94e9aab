"""Times and names as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from common.platforms import title_of
from notifier.core.words import listed, moment, time_left


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (3_660, "1 hour and 1 minute"),
        (86_399, "23 hours and 59 minutes"),
        (86_400, "1 day"),
        (90_000, "1 day and 1 hour"),
        (6 * 86_400 + 23 * 3_600, "6 days and 23 hours"),
        (7 * 86_400 + 3_600, "7 days"),
        (14 * 86_400 - 1, "13 days"),
    ],
)
def test_time_left_never_promises_more_than_there_is(seconds: int, words: str) -> None:
    assert time_left(timedelta(seconds=seconds)) == words


def test_a_moment_of_the_repeated_hour_says_which() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    said = [moment(datetime(2026, 10, 25, hour, 30, tzinfo=UTC), berlin) for hour in (0, 1, 2)]
    assert said == [
        "Sun 25 Oct 2026, 02:30 (Europe/Berlin, UTC+02:00)",
        "Sun 25 Oct 2026, 02:30 (Europe/Berlin, UTC+01:00)",
        "Sun 25 Oct 2026, 03:30 (Europe/Berlin)",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C"], "A, B and C"),
        (list("ABCDEFGH"), "A, B, C, D, E, F, G and H"),
        (list("ABCDEFGHIJ"), "A, B, C, D, E, F, G, H and 2 more"),
    ],
)
def test_lists_name_up_to_eight(names: list[str], words: str) -> None:
    assert listed(names) == words


def test_a_platform_added_by_settings_is_written_from_its_id() -> None:
    assert title_of("google-ads") == "Google Ads"
    assert title_of("acme_ads") == "Acme Ads"
