"""When a grant is looked at: two thirds with a hashed jitter, back-off, fair turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from oauth_svc.core.schedule import BACKOFF_CAP, backoff, refresh_at, retry_at, unit_hash

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ids = st.uuids()


@given(ids, st.integers(2, 90 * 86_400))
def test_due_inside_the_life_and_the_same_on_every_replica(connection_id: UUID, life_s: int) -> None:
    end = NOW + timedelta(seconds=life_s)
    at = refresh_at(connection_id, NOW, end)
    assert at is not None
    assert NOW <= at < end
    assert at == refresh_at(connection_id, NOW, end)
    share = (at - NOW) / (end - NOW)
    assert 0.44 <= share <= 0.72


def test_no_end_no_plan_and_a_past_end_is_due_now() -> None:
    assert refresh_at(UUID(int=1), NOW, None) is None
    assert refresh_at(UUID(int=1), NOW, NOW - timedelta(days=1)) == NOW


def test_imported_cohort_is_spread() -> None:
    times = [refresh_at(UUID(int=n), NOW, NOW + timedelta(hours=1)) for n in range(600)]
    minutes = [int((at - NOW).total_seconds() // 60) for at in times if at is not None]
    assert max(minutes.count(minute) for minute in set(minutes)) < 150


@given(ids, st.integers(1, 60))
def test_backoff_grows_to_its_cap_and_jitter_only_subtracts(connection_id: UUID, attempt: int) -> None:
    wait = backoff(connection_id, attempt)
    assert timedelta(seconds=3.7) <= wait <= BACKOFF_CAP
    assert wait <= timedelta(seconds=5) * 2 ** min(attempt - 1, 20)


@given(ids, st.integers(1, 10), st.floats(0.1, 10**7))
def test_the_platforms_own_wait_is_kept_and_bounded(connection_id: UUID, attempt: int, stated: float) -> None:
    at = retry_at(connection_id, attempt, NOW, retry_after_s=stated)
    assert at - NOW >= timedelta(seconds=min(stated, 86_400)) - timedelta(microseconds=2)
    assert at - NOW <= timedelta(days=1, minutes=1)


def test_hash_is_a_fraction() -> None:
    values = [unit_hash("a", n) for n in range(100)]
    assert all(0 <= value < 1 for value in values)
    assert len(set(values)) == 100
