from datetime import UTC, datetime, timedelta

import pytest

from wevion_tokens.testing import ManualClock


def test_stands_still_until_moved() -> None:
    clock = ManualClock()
    before = clock.now()
    assert clock.now() == before
    assert clock.advance(timedelta(hours=1)) == before + timedelta(hours=1) == clock.now()


def test_a_step_backwards_is_refused_and_a_jump_backwards_is_not() -> None:
    clock = ManualClock()
    before = clock.now()
    with pytest.raises(ValueError, match="forward only"):
        clock.advance(timedelta(seconds=-1))
    clock.set(before - timedelta(days=1))
    assert clock.now() == before - timedelta(days=1)


def test_naive_times_are_refused() -> None:
    naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        ManualClock(naive)
    with pytest.raises(ValueError, match="naive"):
        ManualClock().set(naive)
