"""The life of a connection: every change from every state, and the model over all orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts import (
    DetectedBy,
    IssuedHow,
    RefreshFailure,
    RevocationCause,
    TokenKind,
    TokenStatus,
    Verdict,
)
from oauth_svc.core.changes import (
    AccountsChanged,
    Authorized,
    Change,
    Confirmed,
    Doubted,
    RanOut,
    Recaused,
    Refreshed,
    RefreshFailed,
    Revoked,
    TimePassed,
)
from oauth_svc.core.connection import Connection
from oauth_svc.core.lifecycle import WARNING_WINDOW, apply

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=60)
SOON = NOW + timedelta(days=3)
S = TokenStatus


def connection(status: TokenStatus = S.ACTIVE, expires_at: datetime | None = FAR) -> Connection:
    return Connection(
        connection_id=UUID(int=1),
        workspace_id=UUID(int=2),
        provider="meta",
        kind=TokenKind.PLATFORM_OAUTH,
        subject="42",
        subject_name="Avery",
        owner_user_id=UUID(int=3),
        version=5,
        status=status,
        since=NOW - timedelta(days=1),
        cause=None,
        detected_by=None,
        expires_at=expires_at,
        access_expires_at=expires_at,
        scopes_missing=(),
        authorized_at=NOW - timedelta(days=1),
        last_refreshed_at=None,
        last_good_at=NOW - timedelta(hours=1),
    )


REFRESHED = Refreshed(access_expires_at=FAR, expires_at=FAR, rotated=True)
REVOKED = Revoked(RevocationCause.USER_REVOKED, DetectedBy.PROBE)
DOUBTED = Doubted("invalid_grant")
RECAUSED = Recaused(RevocationCause.PLATFORM_ENFORCED)
AUTHORIZED = Authorized(IssuedHow.REAUTHORIZE, UUID(int=9), "Avery L", FAR, FAR, ())


def failed(attempt: int = 1, class_: RefreshFailure = Verdict.RETRY_LATER) -> RefreshFailed:
    return RefreshFailed(class_=class_, code="http_503", attempt=attempt, retry_at=NOW)


@pytest.mark.parametrize(
    ("before", "change", "after", "topics"),
    [
        (S.ACTIVE, REFRESHED, S.ACTIVE, ["token.refreshed", "token.state"]),
        (S.EXPIRING, REFRESHED, S.ACTIVE, ["token.refreshed", "token.state"]),
        (S.DEGRADED, REFRESHED, S.ACTIVE, ["token.refreshed", "token.state"]),
        (S.ACTIVE, failed(1), S.ACTIVE, ["token.refresh_failed"]),
        (S.ACTIVE, failed(2), S.ACTIVE, ["token.refresh_failed"]),
        (S.ACTIVE, failed(3), S.DEGRADED, ["token.refresh_failed", "token.state"]),
        (S.ACTIVE, failed(1, Verdict.UNKNOWN_OUTCOME), S.DEGRADED, ["token.refresh_failed", "token.state"]),
        (S.EXPIRING, failed(3), S.EXPIRING, ["token.refresh_failed"]),
        (S.ACTIVE, REVOKED, S.REVOKED, ["token.revoked", "token.state"]),
        (S.DEGRADED, REVOKED, S.REVOKED, ["token.revoked", "token.state"]),
        (S.REVOKED, REVOKED, S.REVOKED, []),
        (S.EXPIRED, REVOKED, S.EXPIRED, []),
        (S.REVOKED, REFRESHED, S.REVOKED, []),
        (S.EXPIRED, failed(), S.EXPIRED, []),
        (S.ACTIVE, DOUBTED, S.DEGRADED, ["token.state"]),
        (S.EXPIRING, DOUBTED, S.EXPIRING, ["token.state"]),
        (S.REVOKED, DOUBTED, S.REVOKED, []),
        (S.REVOKED, RECAUSED, S.REVOKED, ["token.state"]),
        (S.EXPIRED, RECAUSED, S.EXPIRED, []),
        (S.ACTIVE, RECAUSED, S.ACTIVE, []),
        (S.ACTIVE, RanOut(), S.EXPIRED, ["token.state"]),
        (S.REVOKED, RanOut(), S.REVOKED, []),
        (S.REVOKED, AUTHORIZED, S.ACTIVE, ["token.issued", "token.state"]),
        (S.EXPIRED, AUTHORIZED, S.ACTIVE, ["token.issued", "token.state"]),
        (S.ACTIVE, AUTHORIZED, S.ACTIVE, ["token.issued", "token.state"]),
        (S.ACTIVE, TimePassed(), S.ACTIVE, []),
        (S.ACTIVE, Confirmed(expires_at=FAR), S.ACTIVE, []),
        (S.ACTIVE, AccountsChanged(), S.ACTIVE, ["token.state"]),
        (S.REVOKED, AccountsChanged(), S.REVOKED, ["token.state"]),
    ],
)
def test_each_change_from_each_state(
    before: TokenStatus, change: Change, after: TokenStatus, topics: list[str]
) -> None:
    was = connection(before)
    applied = apply(was, change, NOW)
    assert applied.connection.status is after
    assert [event.TOPIC for event in applied.events] == topics
    assert applied.changed is bool(topics)
    assert applied.connection.version == was.version + (1 if topics else 0)
    assert all(event.aggregate_version() == applied.connection.version for event in applied.events)


@pytest.mark.parametrize(
    ("left", "status"),
    [
        (WARNING_WINDOW + timedelta(seconds=1), S.ACTIVE),
        (WARNING_WINDOW, S.EXPIRING),
        (timedelta(seconds=1), S.EXPIRING),
        (timedelta(0), S.EXPIRED),
        (timedelta(days=-1), S.EXPIRED),
    ],
)
def test_time_moves_it_at_the_window_and_at_the_end(left: timedelta, status: TokenStatus) -> None:
    applied = apply(connection(expires_at=NOW + left), TimePassed(), NOW)
    assert applied.connection.status is status
    again = apply(applied.connection, TimePassed(), NOW)
    assert not again.changed, "a second look finds nothing to do"


def test_without_an_end_time_moves_nothing() -> None:
    assert not apply(connection(expires_at=None), TimePassed(), NOW).changed


def test_a_refresh_that_moves_no_end_stays_expiring() -> None:
    applied = apply(connection(S.EXPIRING, SOON), Refreshed(SOON, SOON, rotated=False), NOW)
    assert applied.connection.status is S.EXPIRING
    assert applied.connection.since == NOW - timedelta(days=1), "it has been expiring all the time"


def test_a_dead_access_token_degrades_at_the_first_failure() -> None:
    was = replace(connection(), access_expires_at=NOW)
    assert apply(was, failed(1), NOW).connection.status is S.DEGRADED


def test_a_held_credential_shortens_the_full_expiry_and_never_lengthens_it() -> None:
    held = replace(failed(1, Verdict.UNKNOWN_OUTCOME), shorten_to=SOON)
    assert apply(connection(), held, NOW).connection.expires_at == SOON
    assert apply(connection(expires_at=None), held, NOW).connection.expires_at == SOON
    nearer = NOW + timedelta(hours=1)
    assert apply(connection(expires_at=nearer), held, NOW).connection.expires_at == nearer


def test_failure_never_moves_the_last_good_moment() -> None:
    was = connection()
    for change in (failed(), REVOKED, RanOut()):
        assert apply(was, change, NOW).connection.last_good_at == was.last_good_at
    assert apply(was, REFRESHED, NOW).connection.last_good_at == NOW


def test_an_end_told_in_two_ways_is_one_end() -> None:
    was = connection()
    assert not apply(was, Confirmed(expires_at=FAR + timedelta(seconds=9), access_expires_at=FAR), NOW).changed
    moved = apply(was, Confirmed(expires_at=FAR + timedelta(seconds=11)), NOW)
    assert moved.changed
    assert moved.connection.expires_at == FAR + timedelta(seconds=11)


def test_a_permission_that_was_withdrawn_is_told_and_the_rest_goes_on() -> None:
    applied = apply(connection(), Confirmed(scopes_missing=("ads_management",)), NOW)
    assert applied.connection.status is S.ACTIVE
    assert applied.connection.scopes_missing == ("ads_management",)
    assert [event.TOPIC for event in applied.events] == ["token.state"]


def test_a_doubt_is_told_once_and_goes_when_the_grant_is_found_alive() -> None:
    doubted = apply(connection(), DOUBTED, NOW).connection
    assert doubted.doubted
    assert doubted.last_good_at == connection().last_good_at
    assert not apply(doubted, DOUBTED, NOW).changed
    for proof in (Confirmed(), REFRESHED):
        alive = apply(doubted, proof, NOW)
        assert (alive.connection.status, alive.connection.last_failure) == (S.ACTIVE, None)
        assert alive.changed
    soon = apply(connection(S.EXPIRING, SOON), DOUBTED, NOW).connection
    assert apply(soon, Confirmed(), NOW).connection.status is S.EXPIRING
    assert not apply(doubted, REVOKED, NOW).connection.doubted, "the dead are not doubted"


def test_a_probe_alone_does_not_end_a_trouble_of_refreshing() -> None:
    degraded = replace(connection(S.DEGRADED), last_failure="retry_later:http_503")
    after = apply(degraded, Confirmed(), NOW).connection
    assert (after.status, after.last_failure) == (S.DEGRADED, "retry_later:http_503")


def test_a_cause_that_is_understood_later_keeps_when_and_how_it_was_found() -> None:
    dead = apply(connection(), REVOKED, NOW).connection
    known = apply(dead, RECAUSED, NOW + timedelta(minutes=5)).connection
    assert known == replace(dead, cause=RevocationCause.PLATFORM_ENFORCED, version=dead.version + 1)
    assert not apply(known, RECAUSED, NOW).changed


def test_reauthorisation_forgets_the_trouble() -> None:
    was = replace(
        connection(S.REVOKED), cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.WEBHOOK, last_failure="x:y"
    )
    now = apply(was, AUTHORIZED, NOW).connection
    assert (now.cause, now.detected_by, now.last_failure) == (None, None, None)
    assert (now.owner_user_id, now.subject_name, now.authorized_at) == (UUID(int=9), "Avery L", NOW)


CHANGES = st.sampled_from(
    [REFRESHED, failed(1), failed(3), REVOKED, RanOut(), DOUBTED, TimePassed(), Confirmed(expires_at=FAR), AUTHORIZED]
)


@given(st.lists(CHANGES, max_size=12))
def test_events_equal_changes_in_every_order(changes: list[Change]) -> None:
    now = connection()
    for change in changes:
        applied = apply(now, change, NOW)
        if applied.changed:
            assert applied.connection.version == now.version + 1
        else:
            assert applied.connection.version == now.version
            assert applied.connection.status is now.status
        if not now.status.alive and applied.connection.status.alive:
            assert isinstance(change, Authorized), "only a person brings the dead back"
        now = applied.connection
