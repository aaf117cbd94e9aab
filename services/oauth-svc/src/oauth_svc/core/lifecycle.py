"""What can happen to a connection, and what follows from it: the new row and the events.

`wevion_tokens.contracts.transition` is the only state table; this module adds what goes with each move. Every change
goes through `apply`, and the store writes what it returns in one transaction with the outbox rows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from common.contracts import (
    DetectedBy,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenIssuedV1,
    TokenRef,
    TokenRefreshedV1,
    TokenRefreshFailedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    Trigger,
    Verdict,
    transition,
)
from oauth_svc.core.changes import (
    AccountsChanged,
    AskingFailed,
    Authorized,
    Change,
    Confirmed,
    Doubted,
    RanOut,
    Recaused,
    Refreshed,
    RefreshFailed,
    Revived,
    Revoked,
    TimePassed,
)
from oauth_svc.core.connection import DOUBT, FROM, RESTORED, Connection
from oauth_svc.core.grant import same_end

WARNING_WINDOW = timedelta(days=14)
"""Full expiry nearer than this makes a token `expiring` (T2.11)."""

DEGRADED_AFTER = 3
"""Failures in a row before a grant counts as degraded: one wobble moves nothing."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The row to write, and what to tell. Nothing of either when the change changed nothing."""

    connection: Connection
    events: tuple[EventBody, ...]

    @property
    def changed(self) -> bool:
        return bool(self.events)


def apply(  # noqa: C901, PLR0911, PLR0912 - one case and one return per change
    connection: Connection, change: Change, now: datetime
) -> Applied:
    """Return the connection after `change`, with its events. A change that does not apply returns the row untouched."""
    match change:
        case Authorized():
            return _authorized(connection, change, now)
        case AccountsChanged():
            return _tell(replace(connection, version=connection.version + 1), ())
        case Recaused():
            return _recaused(connection, change)
        case Revived():
            return _revived(connection, change, now)
        case _ if not connection.status.alive:
            return Applied(connection, ())
        case Refreshed():
            return _refreshed(connection, change, now)
        case RefreshFailed():
            return _failed(connection, change, now)
        case AskingFailed():
            return Applied(_asking_failed(connection, change), ())
        case Revoked():
            return _revoked(connection, change, now)
        case RanOut():
            ended = replace(connection, expires_at=_not_after(connection.expires_at, now))
            return _moved(ended, Trigger.FULL_EXPIRY, now)
        case Doubted():
            return _doubted(connection, change, now)
        case TimePassed():
            return _time_passed(connection, now)
        case Confirmed():
            return _confirmed(connection, change, now)


def in_window(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at - now <= WARNING_WINDOW


def _alive_status(expires_at: datetime | None, now: datetime) -> TokenStatus:
    return TokenStatus.EXPIRING if in_window(expires_at, now) else TokenStatus.ACTIVE


def _entered(connection: Connection, status: TokenStatus, now: datetime) -> Connection:
    since = connection.since if status is connection.status else now
    return replace(connection, status=status, since=since, version=connection.version + 1)


def _tell(connection: Connection, events: tuple[EventBody, ...], token: TokenRef | None = None) -> Applied:
    state = TokenStateV1.model_construct(
        token=token or connection.ref,
        status=connection.status,
        since=connection.since,
        expires_at=connection.expires_at,
        access_expires_at=connection.access_expires_at,
        cause=connection.cause,
        detected_by=connection.detected_by,
        missing_scopes=connection.scopes_missing,
        user_epoch=None,
    )
    return Applied(connection, (*events, state))


def restated(connection: Connection, version: int) -> Applied:
    """Return the connection as it is, told once more at this version."""
    return _tell(replace(connection, version=version), ())


def _authorized(connection: Connection, change: Authorized, now: datetime) -> Applied:
    fresh = replace(
        connection,
        status=_alive_status(change.expires_at, now),
        since=now,
        version=connection.version + 1,
        owner_user_id=change.owner_user_id,
        subject_name=change.subject_name or connection.subject_name,
        cause=None,
        detected_by=None,
        expires_at=change.expires_at,
        access_expires_at=change.access_expires_at,
        scopes_missing=change.scopes_missing,
        authorized_at=now,
        last_good_at=now,
        last_failure=None,
    )
    issued = TokenIssuedV1.model_construct(
        token=fresh.ref,
        how=change.how,
        expires_at=fresh.expires_at,
        access_expires_at=fresh.access_expires_at,
    )
    return _tell(fresh, (issued,))


def _revived(connection: Connection, change: Revived, now: datetime) -> Applied:
    """Told like a new authorisation, because consumers have stopped for it; the consent is the one that it had."""
    if connection.status is not TokenStatus.REVOKED or connection.detected_by is not DetectedBy.WEBHOOK:
        return Applied(connection, ())
    expires_at = change.expires_at or connection.expires_at
    if expires_at is not None and expires_at <= now:
        return Applied(connection, ())
    fresh = replace(
        connection,
        status=_alive_status(expires_at, now),
        since=now,
        version=connection.version + 1,
        cause=None,
        detected_by=None,
        expires_at=expires_at,
        access_expires_at=change.access_expires_at or connection.access_expires_at,
        last_good_at=now,
        last_failure=None,
    )
    issued = TokenIssuedV1.model_construct(
        token=fresh.ref,
        how=IssuedHow.REAUTHORIZE,
        expires_at=fresh.expires_at,
        access_expires_at=fresh.access_expires_at,
    )
    return _tell(fresh, (issued,))


def _refreshed(connection: Connection, change: Refreshed, now: datetime) -> Applied:
    status = transition(connection.status, Trigger.REFRESHED)
    if in_window(change.expires_at, now):
        status = transition(status, Trigger.WARNING_WINDOW)
    missing = connection.scopes_missing if change.scopes_missing is None else change.scopes_missing
    fresh = replace(
        _entered(connection, status, now),
        expires_at=change.expires_at,
        access_expires_at=change.access_expires_at,
        scopes_missing=missing,
        last_refreshed_at=now,
        last_good_at=now,
        last_failure=None,
    )
    token = fresh.ref  # built once: this is the hot path
    refreshed = TokenRefreshedV1.model_construct(
        token=token,
        expires_at=fresh.expires_at,
        access_expires_at=fresh.access_expires_at,
        rotated=change.rotated,
    )
    return _tell(fresh, (refreshed,), token)


def _failed(connection: Connection, change: RefreshFailed, now: datetime) -> Applied:
    status = connection.status
    over = connection.access_expires_at is not None and connection.access_expires_at <= now
    lasting = change.attempt >= DEGRADED_AFTER or over or change.class_ is Verdict.UNKNOWN_OUTCOME
    if lasting:
        status = transition(status, Trigger.REFRESH_FAILING)
    expires_at = connection.expires_at
    if change.shorten_to is not None and (expires_at is None or change.shorten_to < expires_at):
        expires_at = change.shorten_to
    failed = replace(
        _entered(connection, status, now),
        expires_at=expires_at,
        last_failure=RESTORED if connection.restored else f"{change.class_.value}:{change.code}",
    )
    event = TokenRefreshFailedV1.model_construct(
        token=failed.ref,
        class_=change.class_,
        attempt=max(change.attempt, 1),
        retry_at=change.retry_at,
        incident_id=change.incident_id,
    )
    if status is connection.status and expires_at == connection.expires_at:
        return Applied(failed, (event,))  # the state did not change, so the compacted topic need not hear it
    return _tell(failed, (event,))


def _asking_failed(connection: Connection, change: AskingFailed) -> Connection:
    """Return the connection with the failure, unless a refresh or a doubt has written one that matters more."""
    if connection.last_failure is not None and not connection.asking_fails:
        return connection
    return replace(connection, last_failure=f"{change.verdict.value}:{change.code}{FROM}{change.call}")


def _revoked(connection: Connection, change: Revoked, now: datetime) -> Applied:
    ended = replace(
        _entered(connection, transition(connection.status, Trigger.REVOKED), now),
        cause=change.cause,
        detected_by=change.detected_by,
        last_failure=change.code or connection.last_failure,
    )
    event = TokenRevokedV1.model_construct(
        token=ended.ref,
        cause=change.cause or RevocationCause.PLATFORM_ENFORCED,
        cause_stated=change.cause is not None,
        detected_by=change.detected_by,
        user_epoch=None,
    )
    return _tell(ended, (event,))


def _doubted(connection: Connection, change: Doubted, now: datetime) -> Applied:
    if connection.doubted:
        return Applied(connection, ())
    status = transition(connection.status, Trigger.REFRESH_FAILING)
    return _tell(replace(_entered(connection, status, now), last_failure=f"{DOUBT}:{change.code}"), ())


def _recaused(connection: Connection, change: Recaused) -> Applied:
    """Told on `token.state` alone: the end itself was told, and what stopped has stopped."""
    if connection.status is not TokenStatus.REVOKED or connection.cause is change.cause:
        return Applied(connection, ())
    return _tell(replace(connection, cause=change.cause, version=connection.version + 1), ())


def _moved(connection: Connection, trigger: Trigger, now: datetime) -> Applied:
    status = transition(connection.status, trigger)
    if status is connection.status:
        return Applied(connection, ())
    return _tell(_entered(connection, status, now), ())


def _time_passed(connection: Connection, now: datetime) -> Applied:
    if connection.expires_at is None:
        return Applied(connection, ())
    if connection.expires_at <= now:
        if connection.restored:  # it did not run out: its credential was lost with a database
            return _revoked(connection, Revoked(RevocationCause.CREDENTIAL_LOST, DetectedBy.REFRESH, RESTORED), now)
        return _moved(connection, Trigger.FULL_EXPIRY, now)
    if in_window(connection.expires_at, now):
        return _moved(connection, Trigger.WARNING_WINDOW, now)
    return Applied(connection, ())


def _confirmed(connection: Connection, change: Confirmed, now: datetime) -> Applied:
    expires_at = _moved_end(connection.expires_at, change.expires_at, now)
    access = _moved_end(connection.access_expires_at, change.access_expires_at, now)
    missing = connection.scopes_missing if change.scopes_missing is None else change.scopes_missing
    status = connection.status
    if status is not TokenStatus.DEGRADED or connection.doubted:
        status = _alive_status(expires_at, now)
    good = replace(
        connection,
        last_good_at=now,
        last_failure=None if connection.doubted or connection.asking_fails else connection.last_failure,
    )
    same = (expires_at, access, missing, status) == (
        connection.expires_at,
        connection.access_expires_at,
        connection.scopes_missing,
        connection.status,
    )
    if same:
        return Applied(good, ())
    fresh = replace(
        _entered(good, status, now), expires_at=expires_at, access_expires_at=access, scopes_missing=missing
    )
    return _tell(fresh, ())


def _moved_end(ours: datetime | None, theirs: datetime | None, now: datetime) -> datetime | None:
    """Return the platform's figure, unless it is silent or means ours."""
    return ours if theirs is None or same_end(ours, theirs, now) else theirs


def _not_after(end: datetime | None, now: datetime) -> datetime:
    return now if end is None or end > now else end
