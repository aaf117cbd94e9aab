"""The state table of docs/architecture/token-states.md, read as sentences."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wevion_tokens.contracts import TRANSITIONS, TokenStatus, Trigger, transition

DEAD = (TokenStatus.EXPIRED, TokenStatus.REVOKED)


@pytest.mark.parametrize("status", list(TokenStatus))
def test_reauthorisation_always_gives_a_new_life(status: TokenStatus) -> None:
    assert transition(status, Trigger.REAUTHORIZED) is TokenStatus.ACTIVE


@pytest.mark.parametrize(
    ("status", "trigger"), list(product(DEAD, [t for t in Trigger if t is not Trigger.REAUTHORIZED]))
)
def test_the_dead_stay_dead_until_a_person_acts(status: TokenStatus, trigger: Trigger) -> None:
    assert transition(status, trigger) is status


@pytest.mark.parametrize("status", [s for s in TokenStatus if s.alive])
def test_whatever_lives_can_be_revoked_and_can_expire(status: TokenStatus) -> None:
    assert transition(status, Trigger.REVOKED) is TokenStatus.REVOKED
    assert transition(status, Trigger.FULL_EXPIRY) is TokenStatus.EXPIRED


def test_a_failing_refresh_never_hides_a_warning() -> None:
    assert transition(TokenStatus.EXPIRING, Trigger.REFRESH_FAILING) is TokenStatus.EXPIRING
    assert transition(TokenStatus.ACTIVE, Trigger.REFRESH_FAILING) is TokenStatus.DEGRADED


@given(st.lists(st.sampled_from([t for t in Trigger if t is not Trigger.REAUTHORIZED])))
def test_no_series_of_events_revives_a_token_without_a_person(triggers: list[Trigger]) -> None:
    status = TokenStatus.ACTIVE
    died = False
    for trigger in triggers:
        status = transition(status, trigger)
        assert not (died and status.alive)
        died = died or not status.alive


def test_the_table_names_known_states_only() -> None:
    for (status, trigger), after in TRANSITIONS.items():
        assert isinstance(status, TokenStatus)
        assert isinstance(trigger, Trigger)
        assert isinstance(after, TokenStatus)
