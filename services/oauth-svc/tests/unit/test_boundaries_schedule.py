"""When something is due, to the second: the figures that the properties leave open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from oauth_svc.core.schedule import backoff, refresh_at, retry_at, unit_hash

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRANT = UUID(int=1)


def share_of(life: timedelta) -> list[float]:
    """The share of its life after which each of many grants is refreshed."""
    found = [refresh_at(UUID(int=n), NOW, NOW + life) for n in range(400)]
    return [(at - NOW) / life for at in found if at is not None]


@pytest.mark.parametrize(
    ("life", "middle"),
    [(HOUR, 2 / 3), (timedelta(minutes=10), 2 / 3), (timedelta(minutes=10) - timedelta(seconds=1), 1 / 2)],
)
def test_refreshes_are_spread_five_per_cent_around_two_thirds_or_half(life: timedelta, middle: float) -> None:
    shares = share_of(life)
    assert middle - 0.05 <= min(shares) < middle - 0.04
    assert middle + 0.04 < max(shares) <= middle + 0.05


@pytest.mark.parametrize("life", [timedelta(minutes=2), timedelta(minutes=10), HOUR])
def test_enough_of_the_life_is_left_to_try_again(life: timedelta) -> None:
    """No bound of its own keeps a refresh away from the end: the shares do."""
    assert max(share_of(life)) < 0.72


def test_the_hash_says_how_far_from_the_middle() -> None:
    """A plan that is made again, here or on another replica, is the same plan."""
    hashed = unit_hash(GRANT, NOW.isoformat())
    assert refresh_at(GRANT, NOW, NOW + HOUR) == NOW + HOUR * (2 / 3 + (2 * hashed - 1) * 0.05)


@pytest.mark.parametrize("life", [timedelta(0), -HOUR])
def test_what_has_ended_is_due_at_once(life: timedelta) -> None:
    assert refresh_at(GRANT, NOW, NOW + life) == NOW


def test_what_ends_in_a_moment_is_due_within_it() -> None:
    at = refresh_at(GRANT, NOW, NOW + timedelta(milliseconds=10))
    assert at is not None
    assert NOW < at < NOW + timedelta(milliseconds=10)


@pytest.mark.parametrize(
    ("attempt", "full_s"), [(-1, 5), (0, 5), (1, 5), (2, 10), (3, 20), (10, 2560), (11, 3600), (60, 3600)]
)
def test_waits_double_from_five_seconds_to_an_hour_less_a_quarter_at_most(attempt: int, full_s: int) -> None:
    waits = [backoff(UUID(int=n), attempt).total_seconds() / full_s for n in range(200)]
    assert 0.75 < min(waits) < 0.76
    assert 0.99 < max(waits) <= 1


@pytest.mark.parametrize("stated", [None, 0.0, -5.0, 0.5])
def test_a_stated_wait_that_is_shorter_than_ours_changes_nothing(stated: float | None) -> None:
    assert retry_at(GRANT, 1, NOW, retry_after_s=stated) == NOW + backoff(GRANT, 1)


@pytest.mark.parametrize(
    ("stated", "least", "spread"),
    [(30.0, 30, 3), (60.0, 60, 6), (600.0, 600, 6), (86_400.0, 86_400, 6), (9e9, 86_400, 6)],
)
def test_a_stated_wait_is_spread_a_little_and_never_more_than_a_day(stated: float, least: float, spread: float) -> None:
    waits = [(retry_at(UUID(int=n), 1, NOW, retry_after_s=stated) - NOW).total_seconds() - least for n in range(200)]
    assert 0 <= min(waits) < spread * 0.1
    assert spread * 0.9 < max(waits) < spread


@pytest.mark.parametrize(("stated", "spread"), [(30.0, 3.0), (60.0, 6.0), (61.0, 6.0)])
def test_the_spread_is_a_tenth_of_a_minute_at_most(stated: float, spread: float) -> None:
    wait = timedelta(seconds=stated) + timedelta(seconds=spread * unit_hash(GRANT, 1))
    assert abs(retry_at(GRANT, 1, NOW, retry_after_s=stated) - NOW - wait) <= timedelta(microseconds=1)


def test_a_platform_that_asks_for_a_second_is_not_made_to_wait_less() -> None:
    """Of our own back-off and the platform's figure the later one counts."""
    waits = [(retry_at(UUID(int=n), 9, NOW, retry_after_s=1.0) - NOW).total_seconds() for n in range(50)]
    assert min(waits) > 900


def test_the_hash_is_the_same_on_every_replica_and_for_ever() -> None:
    assert unit_hash("a", 1) == pytest.approx(0.09199504834, abs=1e-11)
    assert unit_hash("a|1") == unit_hash("a", 1)
