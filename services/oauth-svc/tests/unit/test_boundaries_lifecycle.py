"""The row and the events of each change, whole; and the borders of windows, ends and failures in a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    AccountAccess,
    DetectedBy,
    IssuedHow,
    RefreshFailure,
    RevocationCause,
    TokenIssuedV1,
    TokenKind,
    TokenRefreshedV1,
    TokenRefreshFailedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    Verdict,
)
from oauth_svc.core.accounts import compare
from oauth_svc.core.changes import (
    AccountsChanged,
    Authorized,
    Confirmed,
    RanOut,
    Refreshed,
    RefreshFailed,
    Revoked,
    TimePassed,
)
from oauth_svc.core.connection import Account, Connection, Listing, PlatformAccount
from oauth_svc.core.lifecycle import Applied, apply, in_window

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)
SECOND = timedelta(seconds=1)
FAR, WINDOW = NOW + timedelta(days=60), timedelta(days=14)
S = TokenStatus
SHOP = Account(UUID(int=11), "a1", "Shop", AccountAccess.GRANTED, BEFORE, verified_at=BEFORE)
LOST = replace(SHOP, account_id=UUID(int=12), external_id="a2", access=AccountAccess.LOST)


def listing(*accounts: PlatformAccount, complete: bool = True) -> Listing:
    return Listing(accounts, complete=complete)


def connection(**more: Any) -> Connection:
    members: dict[str, Any] = {
        "connection_id": UUID(int=1),
        "workspace_id": UUID(int=2),
        "provider": "meta",
        "kind": TokenKind.PLATFORM_OAUTH,
        "subject": "42",
        "subject_name": "Avery",
        "owner_user_id": UUID(int=3),
        "version": 5,
        "status": S.ACTIVE,
        "since": BEFORE,
        "cause": None,
        "detected_by": None,
        "expires_at": FAR,
        "access_expires_at": FAR,
        "scopes_missing": ("ads_read",),
        "authorized_at": BEFORE,
        "last_refreshed_at": None,
        "last_good_at": BEFORE,
        "last_failure": "retry_later:http_503",
        "accounts": (SHOP, LOST),
    }
    return Connection(**(members | more))


def failed(attempt: int = 1, class_: RefreshFailure = Verdict.RETRY_LATER, **more: Any) -> RefreshFailed:
    return RefreshFailed(class_=class_, code="x", attempt=attempt, retry_at=NOW, **more)


def told(applied: Applied) -> TokenStateV1:
    state = applied.events[-1]
    assert isinstance(state, TokenStateV1)
    after = applied.connection
    assert state == TokenStateV1(
        token=after.ref,
        status=after.status,
        since=after.since,
        expires_at=after.expires_at,
        access_expires_at=after.access_expires_at,
        cause=after.cause,
        detected_by=after.detected_by,
        missing_scopes=after.scopes_missing,
    ), "the state is the whole row"
    return state


def test_a_refresh_replaces_both_ends_and_forgets_the_failure() -> None:
    end, access = FAR + SECOND, NOW + timedelta(hours=1)
    applied = apply(connection(), Refreshed(access_expires_at=access, expires_at=end, rotated=True), NOW)
    assert applied.connection == connection(
        version=6,
        expires_at=end,
        access_expires_at=access,
        last_refreshed_at=NOW,
        last_good_at=NOW,
        last_failure=None,
    )
    assert applied.events[0] == TokenRefreshedV1(
        token=applied.connection.ref, expires_at=end, access_expires_at=access, rotated=True
    )
    told(applied)


@pytest.mark.parametrize(("answered", "missing"), [(None, ("ads_read",)), ((), ()), (("pages",), ("pages",))])
def test_a_refresh_that_is_silent_about_scopes_leaves_them(
    answered: tuple[str, ...] | None, missing: tuple[str, ...]
) -> None:
    change = Refreshed(access_expires_at=FAR, expires_at=FAR, rotated=False, scopes_missing=answered)
    assert apply(connection(), change, NOW).connection.scopes_missing == missing
    confirmed = Confirmed(scopes_missing=answered)
    assert apply(connection(), confirmed, NOW).connection.scopes_missing == missing


@pytest.mark.parametrize(
    ("left", "status"),
    [(WINDOW + SECOND, S.ACTIVE), (WINDOW, S.EXPIRING), (WINDOW - SECOND, S.EXPIRING), (None, S.ACTIVE)],
)
def test_the_last_fourteen_days_are_expiring_however_they_are_reached(
    left: timedelta | None, status: TokenStatus
) -> None:
    end = None if left is None else NOW + left
    assert in_window(end, NOW) is (status is S.EXPIRING)
    authorized = Authorized(IssuedHow.CONNECT, UUID(int=3), "Avery", end, end, ())
    assert apply(connection(status=S.REVOKED), authorized, NOW).connection.status is status
    refreshed = Refreshed(access_expires_at=end, expires_at=end, rotated=False)
    for before in (S.ACTIVE, S.EXPIRING, S.DEGRADED):
        assert apply(connection(status=before), refreshed, NOW).connection.status is status
    if end is not None:
        for before in (S.ACTIVE, S.EXPIRING):
            assert apply(connection(status=before), Confirmed(expires_at=end), NOW).connection.status is status


def test_a_probe_does_not_say_that_refreshes_work_again() -> None:
    for end in (FAR, NOW + WINDOW):
        was = connection(status=S.DEGRADED, expires_at=end)
        applied = apply(was, Confirmed(scopes_missing=()), NOW)
        assert applied.connection == replace(was, version=6, last_good_at=NOW, scopes_missing=())


def test_consent_makes_the_row_anew_and_keeps_what_it_does_not_say() -> None:
    was = connection(status=S.REVOKED, cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE)
    end, access = FAR + SECOND, NOW + timedelta(hours=1)
    applied = apply(was, Authorized(IssuedHow.REAUTHORIZE, UUID(int=9), "", access, end, ("x",)), NOW)
    assert applied.connection == connection(
        version=6,
        since=NOW,
        owner_user_id=UUID(int=9),
        expires_at=end,
        access_expires_at=access,
        scopes_missing=("x",),
        authorized_at=NOW,
        last_good_at=NOW,
        last_failure=None,
    )
    assert applied.events[0] == TokenIssuedV1(
        token=applied.connection.ref, how=IssuedHow.REAUTHORIZE, expires_at=end, access_expires_at=access
    )
    told(applied)


@pytest.mark.parametrize(
    ("attempt", "class_", "access_left", "status"),
    [
        pytest.param(2, Verdict.RETRY_LATER, SECOND, S.ACTIVE, id="two failures"),
        pytest.param(3, Verdict.RETRY_LATER, SECOND, S.DEGRADED, id="three failures"),
        pytest.param(4, Verdict.RATE_LIMITED, SECOND, S.DEGRADED, id="four failures"),
        pytest.param(1, Verdict.RATE_LIMITED, None, S.ACTIVE, id="an access token without an end"),
        pytest.param(1, Verdict.OUR_BUG, timedelta(0), S.DEGRADED, id="the access token has just ended"),
        pytest.param(1, Verdict.OUR_BUG, -SECOND, S.DEGRADED, id="the access token has ended"),
        pytest.param(1, Verdict.UNKNOWN_OUTCOME, SECOND, S.DEGRADED, id="nobody knows what became of it"),
    ],
)
def test_one_wobble_moves_nothing_and_what_lasts_degrades(
    attempt: int, class_: RefreshFailure, access_left: timedelta | None, status: TokenStatus
) -> None:
    was = connection(access_expires_at=None if access_left is None else NOW + access_left)
    applied = apply(was, failed(attempt, class_), NOW)
    since = BEFORE if status is S.ACTIVE else NOW
    assert applied.connection == replace(was, version=6, status=status, since=since, last_failure=f"{class_.value}:x")
    assert len(applied.events) == (1 if status is S.ACTIVE else 2)


@pytest.mark.parametrize(("attempt", "said"), [(0, 1), (1, 1), (2, 2)])
def test_a_failure_counts_from_one_and_names_the_incident(attempt: int, said: int) -> None:
    applied = apply(connection(), failed(attempt, incident_id=UUID(int=8)), NOW)
    (event,) = applied.events
    assert isinstance(event, TokenRefreshFailedV1)
    assert (event.attempt, event.retry_at, event.incident_id) == (said, NOW, UUID(int=8))
    assert event.class_ is Verdict.RETRY_LATER


@pytest.mark.parametrize(
    ("held", "shorten_to", "end", "events"),
    [
        (FAR, FAR - SECOND, FAR - SECOND, 2),
        (FAR, FAR, FAR, 1),
        (FAR, FAR + SECOND, FAR, 1),
        (FAR, None, FAR, 1),
        (None, FAR, FAR, 2),
        (None, None, None, 1),
    ],
)
def test_an_end_is_shortened_and_told_only_when_it_comes_closer(
    held: datetime | None, shorten_to: datetime | None, end: datetime | None, events: int
) -> None:
    applied = apply(connection(expires_at=held), failed(shorten_to=shorten_to), NOW)
    assert applied.connection.expires_at == end
    assert len(applied.events) == events


@pytest.mark.parametrize(("code", "failure"), [(None, "retry_later:http_503"), ("reauthorize:y", "reauthorize:y")])
def test_a_revocation_keeps_the_ends_and_brings_the_cause(code: str | None, failure: str) -> None:
    applied = apply(connection(), Revoked(RevocationCause.COMPROMISE, DetectedBy.PROBE, code), NOW)
    assert applied.connection == connection(
        version=6,
        status=S.REVOKED,
        since=NOW,
        cause=RevocationCause.COMPROMISE,
        detected_by=DetectedBy.PROBE,
        last_failure=failure,
    )
    assert applied.events[0] == TokenRevokedV1(
        token=applied.connection.ref, cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE
    )
    told(applied)


@pytest.mark.parametrize(
    ("held", "end"), [(None, NOW), (FAR, NOW), (NOW + SECOND, NOW), (NOW, NOW), (NOW - SECOND, NOW - SECOND)]
)
def test_what_is_over_by_age_ended_now_at_the_latest(held: datetime | None, end: datetime) -> None:
    applied = apply(connection(expires_at=held), RanOut(), NOW)
    assert applied.connection == connection(version=6, status=S.EXPIRED, since=NOW, expires_at=end)
    told(applied)


@pytest.mark.parametrize(
    ("before", "left", "status"),
    [
        (S.ACTIVE, WINDOW + SECOND, S.ACTIVE),
        (S.ACTIVE, WINDOW, S.EXPIRING),
        (S.EXPIRING, WINDOW, S.EXPIRING),
        (S.EXPIRING, SECOND, S.EXPIRING),
        (S.EXPIRING, timedelta(0), S.EXPIRED),
        (S.DEGRADED, -SECOND, S.EXPIRED),
    ],
)
def test_time_moves_a_row_once_at_each_border(before: TokenStatus, left: timedelta, status: TokenStatus) -> None:
    was = connection(status=before, expires_at=NOW + left)
    applied = apply(was, TimePassed(), NOW)
    if status is before:
        assert (applied.connection, applied.events) == (was, ())
    else:
        assert applied.connection == replace(was, version=6, status=status, since=NOW)
        told(applied)


@pytest.mark.parametrize(
    ("ours", "theirs", "end"),
    [
        (FAR, None, FAR),
        (FAR, FAR + 10 * SECOND, FAR),
        (FAR, FAR - 10 * SECOND, FAR),
        (FAR, FAR + 11 * SECOND, FAR + 11 * SECOND),
        (FAR, FAR - 11 * SECOND, FAR - 11 * SECOND),
        (None, FAR, FAR),
        (None, None, None),
    ],
)
def test_ends_within_ten_seconds_are_one_end(
    ours: datetime | None, theirs: datetime | None, end: datetime | None
) -> None:
    applied = apply(connection(expires_at=ours), Confirmed(expires_at=theirs), NOW)
    assert applied.connection.expires_at == end
    access = apply(connection(access_expires_at=ours), Confirmed(access_expires_at=theirs), NOW)
    assert access.connection.access_expires_at == end
    for each in (applied, access):
        assert each.changed is (end != ours)
        assert each.connection.version == (6 if each.changed else 5)
        assert each.connection.last_good_at == NOW


def test_changed_accounts_raise_the_version_of_the_living_and_the_dead() -> None:
    for status in S:
        was = connection(status=status)
        applied = apply(was, AccountsChanged(), NOW)
        assert applied.connection == replace(was, version=6)
        told(applied)


def test_events_name_the_accounts_that_work() -> None:
    ref = connection().ref
    assert [(a.account_id, a.external_id, a.name) for a in ref.accounts] == [(UUID(int=11), "a1", "Shop")]
    assert (ref.token_id, ref.version, ref.owner_user_id) == (UUID(int=1), 5, UUID(int=3))
    assert connection().with_accounts(()).ref.accounts == ()


def listed(number: int, **more: Any) -> PlatformAccount:
    return PlatformAccount(**({"external_id": f"a{number}", "name": "Shop"} | more))


def test_an_account_that_is_seen_again_keeps_what_the_listing_does_not_say() -> None:
    held = replace(SHOP, details={"currency": "EUR"})
    found = compare([held], listing(listed(1)), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    assert found.accounts == found.to_write == (replace(held, verified_at=NOW),)
    said = compare(
        [held], listing(listed(1, details={"currency": "USD"})), NOW, lambda: UUID(int=9), last_good_at=BEFORE
    )
    assert said.accounts[0].details == {"currency": "USD"}


def test_an_account_that_works_again_works_since_now() -> None:
    found = compare([LOST], listing(listed(2)), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    back = replace(LOST, access=AccountAccess.GRANTED, since=NOW, cause=None, verified_at=NOW)
    assert found.accounts == found.to_write == found.told == (back,)
    assert found.good_before == {}


@pytest.mark.parametrize(
    ("verified_at", "last_good_at", "good"),
    [(BEFORE, BEFORE - SECOND, BEFORE), (BEFORE, BEFORE + SECOND, BEFORE), (None, BEFORE, BEFORE)],
)
def test_a_lost_account_worked_until_it_was_last_seen_to_work_and_else_its_grant(
    verified_at: datetime | None, last_good_at: datetime, good: datetime
) -> None:
    held = replace(SHOP, verified_at=verified_at)
    cause = RevocationCause.PLATFORM_ENFORCED
    found = compare([held], listing(), NOW, lambda: UUID(int=9), last_good_at=last_good_at, cause=cause)
    gone = replace(held, access=AccountAccess.LOST, since=NOW, cause=cause)
    assert found.accounts == found.to_write == found.told == (gone,)
    assert found.good_before == {held.account_id: good}
    (event,) = found.events(connection())
    assert event.model_dump(include={"access", "cause", "version", "provider"}) == {
        "access": AccountAccess.LOST,
        "cause": cause,
        "version": 5,
        "provider": "meta",
    }


def test_what_was_lost_before_is_not_written_again() -> None:
    found = compare([LOST], listing(), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    assert (found.accounts, found.to_write, found.told) == ((LOST,), (), ())


def test_an_account_joins_when_it_can_be_used() -> None:
    seen = [listed(3, usable=False), listed(4, details={"k": "v"})]
    joined = Account(UUID(int=9), "a4", "Shop", AccountAccess.GRANTED, NOW, verified_at=NOW, details={"k": "v"})
    found = compare([], listing(*seen), NOW, lambda: UUID(int=9), last_good_at=BEFORE)
    assert found.accounts == found.to_write == found.told == (joined,)
    first = compare([], listing(*seen), NOW, lambda: UUID(int=9), last_good_at=BEFORE, first=True)
    assert (first.to_write, first.told) == ((joined,), ())
