"""A session's life, as decisions."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import (
    DetectedBy,
    IssuedHow,
    RevocationCause,
    TokenEvent,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from session_svc.core import session as life
from session_svc.core.people import Role
from session_svc.core.refusals import NoSessionReason, words_for
from session_svc.core.session import Change, EndCause, Lifetimes, Session, SessionStatus

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
LIFETIMES = Lifetimes()
USER, ADMIN, WORKSPACE, SESSION = (UUID(int=n) for n in range(1, 5))


def _opened(actor: UUID | None = None) -> Change:
    return life.opened(
        session_id=SESSION,
        user_id=USER,
        workspace_id=WORKSPACE,
        role=Role.ADMIN,
        epoch=3,
        device="Firefox on Linux",
        address="203.0.113.7",
        now=NOW,
        lifetimes=LIFETIMES,
        actor_user_id=actor,
    )


def _state(change: Change) -> TokenStateV1:
    states = [event for event in change.events if isinstance(event, TokenStateV1)]
    assert len(states) == 1
    return states[0]


def test_signing_in_is_issued_for_seven_days() -> None:
    change = _opened()

    issued = change.events[0]
    assert isinstance(issued, TokenIssuedV1)
    assert issued.how is IssuedHow.SIGN_IN
    assert issued.expires_at == NOW + timedelta(days=7)
    assert issued.access_expires_at is None
    assert issued.token.kind is TokenKind.SESSION
    assert (issued.token.token_id, issued.token.owner_user_id, issued.token.version) == (SESSION, USER, 1)
    assert (issued.token.workspace_id, issued.token.provider) == (WORKSPACE, "wevion")
    assert (_state(change).status, _state(change).since) == (TokenStatus.ACTIVE, NOW)
    assert _state(change).user_epoch == 3
    assert (change.session.device, change.session.address) == ("Firefox on Linux", "203.0.113.7")


def test_impersonation_is_issued_for_one_hour() -> None:
    change = _opened(ADMIN)

    issued = change.events[0]
    assert isinstance(issued, TokenIssuedV1)
    assert issued.how is IssuedHow.IMPERSONATION
    assert change.session.expires_at == NOW + timedelta(hours=1)
    assert change.session.impersonated


@pytest.mark.parametrize("cause", [cause for cause in EndCause if cause is not EndCause.EXPIRED])
def test_every_end_before_its_time_is_urgent(cause: EndCause) -> None:
    change = life.ended(_opened().session, cause, DetectedBy.USER, NOW)

    assert [life.is_urgent(event) for event in change.events] == [True, True]


def test_what_another_state_may_follow_is_never_urgent() -> None:
    session = _opened().session
    changes = (
        _opened(),
        life.extended(session, NOW, LIFETIMES),
        life.switched(session, WORKSPACE, Role.MEMBER, NOW),
        life.rekeyed(session, 4),
        life.expired(session, NOW + timedelta(days=7)),  # refused by time already
    )

    assert not any(life.is_urgent(event) for change in changes for event in change.events)


@pytest.mark.parametrize(
    ("after", "live"),
    [
        (timedelta(0), True),
        (timedelta(days=7) - timedelta(microseconds=1), True),
        (timedelta(days=7), False),
        (timedelta(days=8), False),
    ],
)
def test_time_alone_ends_a_session(after: timedelta, live: bool) -> None:
    session = _opened().session

    assert session.live(NOW + after) is live
    assert session.why_ended() is EndCause.EXPIRED


@pytest.mark.parametrize(
    ("after", "actor", "due"),
    [
        (timedelta(hours=24), None, False),
        (timedelta(hours=24, microseconds=1), None, True),
        (timedelta(days=6), None, True),
        (timedelta(days=6), ADMIN, False),
    ],
)
def test_extension_is_due_after_a_day_of_use(after: timedelta, actor: UUID | None, due: bool) -> None:
    assert _opened(actor).session.extension_due(NOW + after, LIFETIMES) is due


def test_extended_gives_seven_days_from_now() -> None:
    later = NOW + timedelta(days=2)

    change = life.extended(_opened().session, later, LIFETIMES)

    assert change.session.expires_at == later + timedelta(days=7)
    assert change.session.extended_at == later
    assert change.session.version == 2
    refreshed = change.events[0]
    assert isinstance(refreshed, TokenRefreshedV1)
    assert (refreshed.expires_at, refreshed.rotated) == (later + timedelta(days=7), False)
    assert not change.session.extension_due(later + timedelta(hours=24), LIFETIMES)
    assert _state(change).since == NOW


def test_rekeyed_carries_the_new_epoch_to_verifiers() -> None:
    change = life.rekeyed(_opened().session, 4)

    assert change.session.epoch == 4
    assert _state(change).user_epoch == 4
    assert isinstance(change.events[0], TokenRefreshedV1)
    assert change.events[0].rotated


def test_switched_is_in_the_other_workspace() -> None:
    other, later = UUID(int=9), NOW + timedelta(hours=1)

    change = life.switched(_opened().session, other, Role.OWNER, later)

    assert (change.session.workspace_id, change.session.role, change.session.switched_at) == (other, Role.OWNER, later)
    assert _state(change).token.workspace_id == other
    assert change.session.expires_at == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    ("cause", "on_the_wire"),
    [
        (EndCause.SIGNED_OUT, RevocationCause.SIGNED_OUT),
        (EndCause.SUPERSEDED, RevocationCause.SUPERSEDED),
        (EndCause.ADMIN_FORCED, RevocationCause.ADMIN_FORCED),
        (EndCause.PASSWORD_CHANGED, RevocationCause.PASSWORD_CHANGED),
        (EndCause.PERMISSION_CHANGED, RevocationCause.PERMISSION_CHANGED),
        (EndCause.ACCOUNT_DISABLED, RevocationCause.ADMIN_FORCED),
        (EndCause.IMPERSONATION_ENDED, RevocationCause.IMPERSONATION_ENDED),
    ],
)
def test_ended_says_why(cause: EndCause, on_the_wire: RevocationCause) -> None:
    later = NOW + timedelta(hours=1)

    change = life.ended(_opened().session, cause, DetectedBy.ADMIN, later, epoch=7)

    assert (change.session.status, change.session.ended_at, change.session.end_cause) == (
        SessionStatus.REVOKED,
        later,
        cause,
    )
    assert not change.session.live(later)
    assert change.session.why_ended() is cause
    revoked = change.events[0]
    assert isinstance(revoked, TokenRevokedV1)
    assert (revoked.cause, revoked.detected_by, revoked.user_epoch) == (on_the_wire, DetectedBy.ADMIN, 7)
    state = _state(change)
    assert (state.status, state.since, state.cause) == (TokenStatus.REVOKED, later, on_the_wire)
    assert (state.detected_by, state.user_epoch) == (DetectedBy.ADMIN, 7)


def test_end_of_one_session_does_not_raise_the_epoch() -> None:
    change = life.ended(_opened().session, EndCause.SIGNED_OUT, DetectedBy.USER, NOW)

    assert isinstance(change.events[0], TokenRevokedV1)
    assert change.events[0].user_epoch is None
    assert _state(change).user_epoch == 3


def test_expired_is_a_fact_of_its_own() -> None:
    later = NOW + timedelta(days=7, seconds=3)

    change = life.expired(_opened().session, later)

    assert isinstance(change.events[0], TokenExpiredV1)
    assert change.events[0].expired_at == NOW + timedelta(days=7)
    assert (change.session.status, change.session.end_cause) == (SessionStatus.EXPIRED, EndCause.EXPIRED)
    assert (_state(change).status, _state(change).cause) == (TokenStatus.EXPIRED, None)


def test_impersonation_that_ran_out_says_what_it_was() -> None:
    session = _opened(ADMIN).session

    change = life.expired(session, NOW + timedelta(hours=1))

    assert session.why_ended() is EndCause.IMPERSONATION_ENDED
    assert change.session.end_cause is EndCause.IMPERSONATION_ENDED
    assert isinstance(change.events[0], TokenRevokedV1)
    assert change.events[0].detected_by is DetectedBy.PROBE


def test_impersonation_ended_otherwise_says_so() -> None:
    change = life.ended(_opened(ADMIN).session, EndCause.ADMIN_FORCED, DetectedBy.ADMIN, NOW)

    assert change.session.why_ended() is EndCause.ADMIN_FORCED


CHANGES = st.lists(st.sampled_from(["extended", "switched", "rekeyed"]), max_size=8)


@given(CHANGES, st.sampled_from([None, *EndCause]))
def test_versions_rise_by_one_and_every_change_states_the_whole_truth(changes: list[str], end: EndCause | None) -> None:
    change = _opened()
    versions = [1]
    now = NOW
    for name in changes:
        now += timedelta(hours=25)
        session = change.session
        if name == "extended":
            change = life.extended(session, now, LIFETIMES)
        elif name == "switched":
            change = life.switched(session, UUID(int=8), Role.MEMBER, now)
        else:
            change = life.rekeyed(session, session.epoch + 1)
        versions.append(change.session.version)
        _check_consistent(change)
    if end is EndCause.EXPIRED:
        change = life.expired(change.session, now)
    elif end is not None:
        change = life.ended(change.session, end, DetectedBy.USER, now)
    _check_consistent(change)
    assert versions == list(range(1, len(versions) + 1))


def _check_consistent(change: Change) -> None:
    state = _state(change)
    assert state.status.value == change.session.status.value
    assert state.expires_at == change.session.expires_at
    for event in change.events:
        assert isinstance(event, TokenEvent)
        assert event.token.version == change.session.version
        assert event.token.token_id == change.session.session_id


@pytest.mark.parametrize("cause", [None, *EndCause])
def test_every_end_has_words_and_a_fix(cause: EndCause | None) -> None:
    words = words_for(cause)

    assert words.title
    assert words.detail
    assert words.fix
    assert words.reason in NoSessionReason


def test_codes_tell_the_kinds_of_end_apart() -> None:
    assert words_for(None).reason is NoSessionReason.TOKEN_MISSING
    assert words_for(EndCause.EXPIRED).reason is NoSessionReason.SESSION_EXPIRED
    assert words_for(EndCause.SIGNED_OUT).reason is NoSessionReason.SESSION_REVOKED
    assert words_for(EndCause.ACCOUNT_DISABLED).reason is NoSessionReason.USER_DISABLED
    assert words_for(EndCause.IMPERSONATION_ENDED).reason is NoSessionReason.IMPERSONATION_ENDED
    assert len({words_for(cause).detail for cause in EndCause}) == len(EndCause)


def test_session_is_kept_as_it_is_by_its_changes() -> None:
    session: Session = _opened(ADMIN).session

    ended = life.ended(session, EndCause.SIGNED_OUT, DetectedBy.USER, NOW).session

    for name in ("session_id", "user_id", "workspace_id", "role", "epoch", "created_at", "actor_user_id", "device"):
        assert getattr(ended, name) == getattr(session, name)
