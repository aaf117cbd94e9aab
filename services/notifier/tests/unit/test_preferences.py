"""Quiet hours on the reader's clock, and which layer decides."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import NoticeChannel, NoticeCode
from notifier.core.preferences import Preferences, QuietHours, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7))
LUNCH = QuietHours(time(12), time(13, 30))


def _berlin(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 9, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "over"),
    [
        (NIGHT, _berlin(14, 21, 59), None),
        (NIGHT, _berlin(14, 22), _berlin(15, 7)),
        (NIGHT, _berlin(15, 0), _berlin(15, 7)),
        (NIGHT, _berlin(15, 6, 59), _berlin(15, 7)),
        (NIGHT, _berlin(15, 7), None),
        (LUNCH, _berlin(14, 11, 59), None),
        (LUNCH, _berlin(14, 12), _berlin(14, 13, 30)),
        (LUNCH, _berlin(14, 13, 30), None),
        (QuietHours(time(9), time(9)), _berlin(14, 9), None),
    ],
)
def test_quiet_hours(quiet: QuietHours, now: datetime, over: datetime | None) -> None:
    assert quiet.over_at(now, BERLIN) == over


WINTER_BEGINS = datetime(2026, 10, 25, tzinfo=UTC)  # 02:00 to 03:00 comes twice in Berlin


@pytest.mark.parametrize(
    ("minutes", "over"),
    [(-180, 30), (10, 30), (29, 30), (30, None), (59, None), (70, 90), (89, 90), (90, None)],
)
def test_quiet_that_ends_in_the_repeated_hour_ends_in_the_future(minutes: int, over: int | None) -> None:
    quiet = QuietHours(time(22), time(2, 30))
    found = quiet.over_at(WINTER_BEGINS + timedelta(minutes=minutes), BERLIN)
    assert found == (None if over is None else WINTER_BEGINS + timedelta(minutes=over))


@given(
    st.times(),
    st.times(),
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_quiet_never_lasts_longer_than_a_day_and_an_hour(start: time, end: time, at: datetime, zone: str) -> None:
    now = at.replace(tzinfo=UTC)
    over = QuietHours(start, end).over_at(now, ZoneInfo(zone))
    assert over is None or now - timedelta(hours=1) <= over <= now + timedelta(hours=25)


def test_the_nearer_layer_wins_word_by_word() -> None:
    email = NoticeChannel.EMAIL
    workspace = Preferences(
        {(email, NoticeCode.TOKEN_EXPIRED): False, (email, NoticeCode.DATA_GAP): True}, NIGHT, "UTC"
    )
    own = Preferences({(email, NoticeCode.TOKEN_EXPIRED): True}, None, "Asia/Tokyo")
    both = own.over(workspace)
    assert both.wants(email, NoticeCode.TOKEN_EXPIRED)
    assert both.wants(email, NoticeCode.DATA_GAP)
    assert both.quiet_hours == NIGHT
    assert both.time_zone == "Asia/Tokyo"


def test_defaults() -> None:
    nothing = Preferences()
    assert nothing.wants(NoticeChannel.EMAIL, NoticeCode.TOKEN_EXPIRING)
    assert not nothing.wants(NoticeChannel.EMAIL, NoticeCode.DATA_GAP)
    off = Preferences({(NoticeChannel.IN_APP, NoticeCode.DATA_GAP): False})
    assert off.wants(NoticeChannel.IN_APP, NoticeCode.DATA_GAP)


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_is_utc(name: str | None) -> None:
    assert zone_of(name).key == "UTC"
