"""A rate limit at its edges: the burst, the rate behind it, debts, and clocks that go back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.runtime.rate_limit import Bucket, RateLimit

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_one_time_says_everything() -> None:
    limit = RateLimit(burst=2, every_s=60)
    for tat in (None, NOW - MINUTE, NOW):
        assert (limit.wait_s(tat, NOW), limit.room(tat, NOW), limit.taken(tat, NOW)) == (0.0, 2, NOW + MINUTE)
    assert (limit.wait_s(NOW + MINUTE, NOW), limit.room(NOW + MINUTE, NOW)) == (0.0, 1)
    assert (limit.wait_s(NOW + 2 * MINUTE, NOW), limit.room(NOW + 2 * MINUTE, NOW)) == (60.0, 0)
    assert limit.taken(NOW + 2 * MINUTE, NOW) == NOW + 3 * MINUTE
    second = timedelta(seconds=1)
    assert limit.wait_s(NOW + 2 * MINUTE, NOW + MINUTE - second) == 1.0
    assert limit.wait_s(NOW + 2 * MINUTE, NOW + MINUTE) == 0.0


@pytest.mark.parametrize("rate", [0.1, 2, 3, 7, 10, 30, 1000, 7000])
@pytest.mark.parametrize("burst", [1, 2, 5, 30])
def test_exactly_the_burst_passes_at_once_and_then_the_rate_holds(rate: float, burst: int) -> None:
    bucket, waits = Bucket.full(RateLimit.per_second(rate, burst), NOW), []
    assert bucket.room(NOW) == burst
    for _ in range(burst + 2):
        bucket, wait_s = bucket.take(NOW)
        waits.append(wait_s)
    assert waits[:burst] == [0.0] * burst
    assert waits[burst:] == pytest.approx([1 / rate, 2 / rate], abs=1e-4)
    assert bucket.room(NOW) == -2


def test_a_bucket_fills_up_while_nothing_is_taken_and_never_beyond_its_burst() -> None:
    bucket, _ = Bucket.full(RateLimit.per_second(2, 2), NOW).take(NOW)
    waits = []
    for _ in range(3):
        bucket, wait_s = bucket.take(NOW + timedelta(hours=1))
        waits.append(wait_s)
    assert waits == [0.0, 0.0, 0.5]


def test_many_at_once_and_a_debt_that_waiting_repays() -> None:
    full = Bucket.full(RateLimit.per_second(100, 100), NOW)
    assert (full.room(NOW), full.wait_s(NOW)) == (100, 0.0)
    empty, waited = full.take(NOW, 100)
    assert waited == 0.0
    assert (empty.room(NOW), empty.wait_s(NOW)) == (0, 0.01)
    assert empty.wait_s(NOW, 1000) == 1.0, "never longer than a full bucket takes"
    assert empty.room(NOW + timedelta(seconds=0.5)) == 50
    owing, _ = full.take(NOW, 120)
    assert (owing.room(NOW), owing.wait_s(NOW)) == (-20, 0.21)
    assert owing.room(NOW + timedelta(seconds=0.5)) == 30


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    empty, _ = Bucket.full(RateLimit.per_second(100, 100), NOW).take(NOW, 100)
    before = NOW - timedelta(days=1)
    assert (empty.room(before), empty.wait_s(before)) == (0, 0.01)
    after, wait_s = empty.take(before)
    assert (after.at, wait_s) == (NOW, 0.01)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 200)), max_size=40))
def test_no_more_leaves_than_the_rate_allows(moves: list[tuple[int, int]]) -> None:
    bucket, now, left = Bucket.full(RateLimit.per_second(100, 100), NOW), NOW, 0
    for passed_ms, wanted in moves:
        now += timedelta(milliseconds=passed_ms)
        taken = max(0, min(wanted, bucket.room(now)))
        bucket, wait_s = bucket.take(now, taken)
        left += taken
        assert wait_s == 0.0
    assert left <= 100 + 100 * (now - NOW).total_seconds() + 1e-6


@given(st.integers(1, 20), st.integers(1, 300), st.lists(st.integers(0, 400), max_size=60))
def test_what_is_refused_passes_after_exactly_the_wait_that_was_told(burst: int, every: int, steps: list[int]) -> None:
    limit, tat, now = RateLimit(burst, every), None, NOW
    for step in steps:
        now += timedelta(seconds=step)
        wait_s = limit.wait_s(tat, now)
        if wait_s == 0:
            assert limit.room(tat, now) >= 1
            tat = limit.taken(tat, now)
            continue
        assert limit.room(tat, now) == 0
        assert limit.wait_s(tat, now + timedelta(seconds=wait_s)) == 0
        assert limit.wait_s(tat, now + timedelta(seconds=wait_s - 0.5)) > 0
