"""Sessions, JWTs and keys at their edges."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import (
    DetectedBy,
    TokenStateV1,
)
from session_svc.core import jwt, keys
from session_svc.core import session as life
from session_svc.core.keys import KeyPlan, KeyTimes, Schedule
from session_svc.core.people import Role
from session_svc.core.session import EndCause, Lifetimes, Session, SessionStatus

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SESSION = Session(
    session_id=UUID(int=1),
    user_id=UUID(int=2),
    workspace_id=UUID(int=3),
    role=Role.OWNER,
    epoch=5,
    version=7,
    status=SessionStatus.ACTIVE,
    created_at=NOW,
    extended_at=NOW,
    expires_at=NOW + timedelta(days=7),
)
ACTED = replace(SESSION, actor_user_id=UUID(int=7))


def test_times_are_those_that_people_are_told() -> None:
    assert Lifetimes() == Lifetimes(
        session=timedelta(days=7),
        extend_after=timedelta(days=1),
        impersonation=timedelta(minutes=60),
        jwt=timedelta(minutes=60),
        skew=timedelta(seconds=60),
    )
    assert Schedule() == Schedule(
        signs_for=timedelta(days=30),
        jwks_max_age=timedelta(seconds=300),
        reload_every=timedelta(seconds=20),
        jwt_life=timedelta(minutes=60),
        skew=timedelta(seconds=60),
    )


def test_every_change_raises_the_version_by_one() -> None:
    for change in (
        life.extended(SESSION, NOW, Lifetimes()),
        life.switched(SESSION, UUID(int=9), Role.MEMBER, NOW),
        life.rekeyed(SESSION, 6),
        life.ended(SESSION, EndCause.SIGNED_OUT, DetectedBy.USER, NOW),
        life.expired(SESSION, NOW),
        life.expired(ACTED, NOW),
    ):
        assert change.session.version == 8
        assert len(change.events) == 2


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (SESSION, EndCause.EXPIRED),
        (replace(SESSION, end_cause=EndCause.EXPIRED), EndCause.EXPIRED),
        (replace(SESSION, end_cause=EndCause.SIGNED_OUT), EndCause.SIGNED_OUT),
        (ACTED, EndCause.IMPERSONATION_ENDED),
        (replace(ACTED, end_cause=EndCause.EXPIRED), EndCause.IMPERSONATION_ENDED),
        (replace(ACTED, end_cause=EndCause.PASSWORD_CHANGED), EndCause.PASSWORD_CHANGED),
    ],
)
def test_why_a_session_is_over(session: Session, why: EndCause) -> None:
    assert session.why_ended() is why


def test_only_an_active_session_before_its_end_is_live() -> None:
    last = SESSION.expires_at - timedelta(microseconds=1)
    assert SESSION.live(last)
    assert not SESSION.live(SESSION.expires_at)
    for status in (SessionStatus.EXPIRED, SessionStatus.REVOKED):
        assert not replace(SESSION, status=status).live(last)


@pytest.mark.parametrize(("hours", "due"), [(0, False), (23, False), (24, False), (25, True)])
def test_use_within_a_day_of_the_last_extension_writes_nothing(hours: int, *, due: bool) -> None:
    assert SESSION.extension_due(NOW + timedelta(hours=hours), Lifetimes()) is due
    assert not ACTED.extension_due(NOW + timedelta(hours=hours), Lifetimes())


def test_an_expiry_states_the_users_epoch_and_no_cause() -> None:
    fact, state = life.expired(SESSION, NOW).events
    assert isinstance(state, TokenStateV1)
    assert fact.aggregate_version() == state.aggregate_version() == 8
    assert (state.user_epoch, state.cause, state.detected_by) == (5, None, None)


@pytest.mark.parametrize(("left", "lives"), [(timedelta(minutes=90), 3600), (timedelta(minutes=10), 600)])
def test_a_jwt_of_an_impersonation_lives_its_hour_or_less(left: timedelta, lives: int) -> None:
    acted = replace(ACTED, expires_at=NOW + left)
    claims = jwt.session_claims(acted, issuer="i", audience="a", jti=UUID(int=9), now=NOW, life=timedelta(hours=1))
    assert claims["exp"] - claims["iat"] == lives


def test_the_bytes_before_the_signature_have_no_room_in_them() -> None:
    header = jwt.encoded_header("k")
    assert header == b"eyJhbGciOiJFZERTQSIsImtpZCI6ImsiLCJ0eXAiOiJKV1QifQ"
    assert jwt.signing_input(b"h", {"a": 1, "b": 2}) == b"h.eyJhIjoxLCJiIjoyfQ"


def test_a_service_jwt_says_when_it_was_made_and_for_whom() -> None:
    claims = jwt.service_claims("sync", ("a",), issuer="i", audience="x", jti=UUID(int=9), now=NOW, life=2 * SECOND)
    made = int(NOW.timestamp())
    assert claims == {
        "iss": "i",
        "sub": "sync",
        "aud": "x",
        "exp": made + 2,
        "iat": made,
        "jti": str(UUID(int=9)),
        "client_id": "sync",
        "scope": "a",
    }


def test_a_rotation_on_demand_waits_as_long_as_any_and_not_for_a_key_that_signs_from_now() -> None:
    first = KeyTimes("k0", NOW, NOW, None)
    assert keys.plan([first], NOW, Schedule(), rotate=True) == KeyPlan(NOW + timedelta(minutes=5, seconds=40), "k0")
    assert keys.plan([first], NOW - timedelta(microseconds=1), Schedule(), rotate=True) is None
    stopped = KeyTimes("k0", NOW, NOW, NOW + SECOND)
    assert keys.plan([stopped], NOW, Schedule()) == KeyPlan(NOW, None)


def test_the_keys_of_the_jwks_are_all_but_those_that_are_gone() -> None:
    following, active = KeyTimes("n", NOW, NOW + SECOND, None), KeyTimes("a", NOW, NOW, NOW + SECOND)
    retiring = KeyTimes("r", NOW, NOW - SECOND, NOW)
    gone = KeyTimes("g", NOW, NOW - timedelta(days=1), NOW - timedelta(minutes=61))
    long_gone = KeyTimes("l", NOW, NOW - timedelta(days=9), NOW - timedelta(days=8))
    found = [long_gone, gone, retiring, active, following]
    assert keys.published(found, NOW, Schedule()) == (retiring, active, following)
    assert keys.signing(found, NOW, Schedule()) == active
    assert keys.signing([gone, retiring, following], NOW, Schedule()) is None
