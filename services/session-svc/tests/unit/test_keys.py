"""Key rotation as arithmetic: no verifier ever meets a JWT whose key it cannot have."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_svc.core import keys
from session_svc.core.keys import KeyPlan, KeyState, KeyTimes, Schedule

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
SCHEDULE = Schedule()
SECOND = timedelta(seconds=1)


def _applied(found: list[KeyTimes], plan: KeyPlan | None, now: datetime) -> list[KeyTimes]:
    """What the store does with a plan."""
    if plan is None:
        return found
    closed = [
        KeyTimes(key.kid, key.created_at, key.signs_from, plan.signs_from) if key.kid == plan.replaces else key
        for key in found
    ]
    return [*closed, KeyTimes(f"k{len(found)}", now, plan.signs_from, None)]


def test_first_key_signs_at_once() -> None:
    assert keys.plan([], NOW, SCHEDULE) == KeyPlan(NOW, None)


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (-SECOND, KeyState.NEXT),
        (timedelta(0), KeyState.ACTIVE),
        (timedelta(days=1) - SECOND, KeyState.ACTIVE),
        (timedelta(days=1), KeyState.RETIRING),
        (timedelta(days=1, hours=1, seconds=59), KeyState.RETIRING),
        (timedelta(days=1, hours=1, minutes=1), KeyState.GONE),
    ],
)
def test_states_follow_from_times(at: timedelta, state: KeyState) -> None:
    key = KeyTimes("k", NOW - timedelta(hours=1), NOW, NOW + timedelta(days=1))

    assert key.state(NOW + at, SCHEDULE) is state


def test_key_without_an_end_stays_active() -> None:
    assert KeyTimes("k", NOW, NOW, None).state(NOW + timedelta(days=999), SCHEDULE) is KeyState.ACTIVE


def test_schedule_makes_the_next_key_in_time() -> None:
    first = KeyTimes("k0", NOW, NOW, None)
    due = NOW + SCHEDULE.signs_for - SCHEDULE.publish_ahead

    assert keys.plan([first], due - SECOND, SCHEDULE) is None
    assert keys.plan([first], due, SCHEDULE) == KeyPlan(NOW + SCHEDULE.signs_for, "k0")


def test_publish_ahead_outlasts_every_cache() -> None:
    assert timedelta(minutes=5, seconds=40) == SCHEDULE.publish_ahead


def test_asking_twice_rotates_once() -> None:
    found = _applied(
        [KeyTimes("k0", NOW, NOW, None)], keys.plan([KeyTimes("k0", NOW, NOW, None)], NOW, SCHEDULE, rotate=True), NOW
    )

    assert len(found) == 2
    assert keys.plan(found, NOW + SECOND, SCHEDULE, rotate=True) is None
    assert keys.plan(found, found[1].signs_from, SCHEDULE, rotate=True) is not None


def test_no_key_signs_when_there_is_none() -> None:
    assert keys.signing([], NOW, SCHEDULE) is None
    assert keys.published([], NOW, SCHEDULE) == ()


MOVES = st.lists(
    st.tuples(st.integers(1, 4000), st.booleans()),  # seconds that pass, and whether somebody asks for a rotation
    min_size=1,
    max_size=60,
)


@given(MOVES)
def test_always_one_key_signs_and_no_verifier_lacks_it(moves: list[tuple[int, bool]]) -> None:
    schedule = Schedule(signs_for=timedelta(seconds=1500))
    now = NOW
    found = _applied([], keys.plan([], now, schedule), now)
    history: list[tuple[datetime, set[str]]] = []  # what the JWKS said when
    for seconds, rotate in moves:
        found = _applied(found, keys.plan(found, now, schedule, rotate=rotate), now)
        history.append((now, {key.kid for key in keys.published(found, now, schedule)}))
        for at in (now, now + timedelta(seconds=seconds) - timedelta(microseconds=1)):
            active = [key for key in found if key.state(at, schedule) is KeyState.ACTIVE]
            assert len(active) == 1
            assert keys.signing(found, at, schedule) == active[0]
            # A JWKS fetched at the start of the allowed cache time (or at the first key's birth) has the key.
            cached = [kids for fetched, kids in history if fetched <= at - schedule.jwks_max_age]
            if cached:
                assert active[0].kid in cached[-1]
            # Whatever was signed by any key within the last hour can still be verified.
            for key in found:
                last_signature = min(key.signs_until or at, at)
                signed_lately = key.signs_from <= at and at - last_signature < schedule.jwt_life
                assert not signed_lately or key in keys.published(found, at, schedule)
        now += timedelta(seconds=seconds)
