"""A session's life. Each function takes a session and returns it changed, with the events that this change is.

Nothing else in this service decides a session's state, and no event of kind `session` is made anywhere else: a path
that ends a session cannot forget to say so.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from common.contracts import (
    DetectedBy,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from session_svc.core.people import Role

PROVIDER = "wevion"


class SessionStatus(StrEnum):
    """A session's state: the part of the token state machine that a session can be in."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class EndCause(StrEnum):
    """Why a session ended. Finer than what goes on the wire, because the person is told exactly which it was."""

    EXPIRED = "expired"
    SIGNED_OUT = "signed_out"
    SUPERSEDED = "superseded"
    ADMIN_FORCED = "admin_forced"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a cause, not a password
    PERMISSION_CHANGED = "permission_changed"
    ACCOUNT_DISABLED = "account_disabled"
    IMPERSONATION_ENDED = "impersonation_ended"


_ON_THE_WIRE = {
    EndCause.SIGNED_OUT: RevocationCause.SIGNED_OUT,
    EndCause.SUPERSEDED: RevocationCause.SUPERSEDED,
    EndCause.ADMIN_FORCED: RevocationCause.ADMIN_FORCED,
    EndCause.PASSWORD_CHANGED: RevocationCause.PASSWORD_CHANGED,
    EndCause.PERMISSION_CHANGED: RevocationCause.PERMISSION_CHANGED,
    EndCause.ACCOUNT_DISABLED: RevocationCause.ADMIN_FORCED,
    EndCause.IMPERSONATION_ENDED: RevocationCause.IMPERSONATION_ENDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long sessions last."""

    session: timedelta = timedelta(days=7)
    extend_after: timedelta = timedelta(hours=24)
    impersonation: timedelta = timedelta(hours=1)
    jwt: timedelta = timedelta(hours=1)
    skew: timedelta = timedelta(minutes=1)
    """How far apart two honest clocks may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser. `role` and `epoch` are the user's at this moment; whatever changes them changes this too."""

    session_id: UUID
    user_id: UUID
    workspace_id: UUID
    role: Role
    epoch: int
    version: int
    status: SessionStatus
    created_at: datetime
    extended_at: datetime
    expires_at: datetime
    switched_at: datetime | None = None
    ended_at: datetime | None = None
    end_cause: EndCause | None = None
    actor_user_id: UUID | None = None
    device: str = ""
    address: str = ""

    @property
    def impersonated(self) -> bool:
        return self.actor_user_id is not None

    def live(self, now: datetime) -> bool:
        """Return whether it may be used at `now`. Time alone ends it; the sweep only records that."""
        return self.status is SessionStatus.ACTIVE and now < self.expires_at

    def why_ended(self) -> EndCause:
        """Why it is not live (asked only of a session that is not)."""
        if self.impersonated and self.end_cause in (None, EndCause.EXPIRED):
            return EndCause.IMPERSONATION_ENDED
        return self.end_cause or EndCause.EXPIRED

    def extension_due(self, now: datetime, lifetimes: Lifetimes) -> bool:
        """Return whether its use should renew its seven days: at most one write a day. An impersonation never is."""
        return not self.impersonated and now - self.extended_at > lifetimes.extend_after


@dataclass(frozen=True, slots=True)
class Change:
    """A session as it is to be stored, and the facts that go out in the same transaction."""

    session: Session
    events: tuple[EventBody, ...]


def opened(
    *,
    session_id: UUID,
    user_id: UUID,
    workspace_id: UUID,
    role: Role,
    epoch: int,
    device: str,
    address: str,
    now: datetime,
    lifetimes: Lifetimes,
    actor_user_id: UUID | None = None,
) -> Change:
    """Return a person signed in, or (with an actor) a support admin began to act as them.

    Args:
        session_id: the session.
        user_id: the person.
        workspace_id: the workspace.
        role: the role in the workspace.
        epoch: the user's epoch.
        device: the browser, as it names itself.
        address: the network address.
        now: the present time, in UTC.
        lifetimes: how long sessions live.
        actor_user_id: the support admin who acts; None for the person.

    """
    life = lifetimes.session if actor_user_id is None else lifetimes.impersonation
    session = Session(
        session_id=session_id,
        user_id=user_id,
        workspace_id=workspace_id,
        role=role,
        epoch=epoch,
        version=1,
        status=SessionStatus.ACTIVE,
        created_at=now,
        extended_at=now,
        expires_at=now + life,
        actor_user_id=actor_user_id,
        device=device,
        address=address,
    )
    how = IssuedHow.SIGN_IN if actor_user_id is None else IssuedHow.IMPERSONATION
    issued = TokenIssuedV1(token=_ref(session), how=how, expires_at=session.expires_at)
    return Change(session, (issued, _state(session, now)))


def extended(session: Session, now: datetime, lifetimes: Lifetimes) -> Change:
    """Return its use gives it the full seven days again."""
    return _renewed(replace(session, extended_at=now, expires_at=now + lifetimes.session), rotated=False)


def switched(session: Session, workspace_id: UUID, role: Role, now: datetime) -> Change:
    """Return the session in another of its user's workspaces.

    Args:
        session: the session.
        workspace_id: the workspace.
        role: the role in the workspace.
        now: the present time, in UTC.

    """
    return _renewed(replace(session, workspace_id=workspace_id, role=role, switched_at=now), rotated=False)


def rekeyed(session: Session, epoch: int) -> Change:
    """It alone survives the end of all of its user's sessions, under the new epoch and a new cookie."""
    return _renewed(replace(session, epoch=epoch), rotated=True)


def ended(
    session: Session, cause: EndCause, detected_by: DetectedBy, now: datetime, *, epoch: int | None = None
) -> Change:
    """It is over before its time. `epoch`: the user's new one, when all of their sessions end together.

    Args:
        session: the session.
        cause: why it ended.
        detected_by: how it came to be known.
        now: the present time, in UTC.
        epoch: the user's new epoch; None when only this session ends.

    """
    over = replace(session, version=session.version + 1, status=SessionStatus.REVOKED, ended_at=now, end_cause=cause)
    on_the_wire = _ON_THE_WIRE[cause]
    revoked = TokenRevokedV1(token=_ref(over), cause=on_the_wire, detected_by=detected_by, user_epoch=epoch)
    return Change(over, (revoked, _state(over, now, detected_by=detected_by, epoch=epoch)))


def expired(session: Session, now: datetime) -> Change:
    """Return its time ran out. An impersonation that ran out says so, because its fix is another."""
    if session.impersonated:
        return ended(session, EndCause.IMPERSONATION_ENDED, DetectedBy.PROBE, now)
    over = replace(
        session, version=session.version + 1, status=SessionStatus.EXPIRED, ended_at=now, end_cause=EndCause.EXPIRED
    )
    fact = TokenExpiredV1(token=_ref(over), expired_at=session.expires_at)
    return Change(over, (fact, _state(over, now)))


def restated(session: Session, version: int) -> Change:
    """Return the session as it is, told once more at this version."""
    same = replace(session, version=version)
    return Change(same, (_state(same, same.ended_at or same.created_at),))


def is_urgent(body: EventBody) -> bool:
    """Return whether verifiers must hear of it at once: every end before its time.

    Ends alone, because nothing follows them: a copy that comes late, or twice, can never hide a newer state.
    """
    return isinstance(body, TokenRevokedV1) or (isinstance(body, TokenStateV1) and body.status is TokenStatus.REVOKED)


def _renewed(session: Session, *, rotated: bool) -> Change:
    newer = replace(session, version=session.version + 1)
    refreshed = TokenRefreshedV1(token=_ref(newer), expires_at=newer.expires_at, rotated=rotated)
    return Change(newer, (refreshed, _state(newer, newer.created_at, epoch=newer.epoch)))


def _ref(session: Session) -> TokenRef:
    return TokenRef(
        token_id=session.session_id,
        kind=TokenKind.SESSION,
        provider=PROVIDER,
        workspace_id=session.workspace_id,
        owner_user_id=session.user_id,
        version=session.version,
    )


def _state(
    session: Session, since: datetime, *, detected_by: DetectedBy | None = None, epoch: int | None = None
) -> TokenStateV1:
    return TokenStateV1(
        token=_ref(session),
        status=TokenStatus(session.status.value),
        since=since,
        expires_at=session.expires_at,
        cause=_ON_THE_WIRE.get(session.end_cause) if session.end_cause else None,
        detected_by=detected_by,
        user_epoch=session.epoch if epoch is None else epoch,
    )
