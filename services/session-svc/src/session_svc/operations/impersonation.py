"""Support admins act as a user: bounded in time, with a written reason, seen by the customer (RFC 8693, `act`)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy
from common.runtime.ids import new_id, random_token
from session_svc.core import session as life
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import NotAllowedError, NotFoundError
from session_svc.core.people import User
from session_svc.core.session import EndCause, Session
from session_svc.operations import state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit, sessions
from session_svc.store import people as stored


@dataclass(frozen=True, slots=True, repr=False)
class Impersonating:
    """A session as somebody else, and the cookie that stands for it."""

    session: Session
    cookie: str
    user: User


async def impersonate(
    deps: Deps,
    caller: Caller,
    *,
    user_id: UUID,
    workspace_id: UUID | None,
    reason: str,
    ticket: str | None,
    device: str,
    now: datetime,
) -> Impersonating:
    """Return a support admin acts as a user from now on, for at most an hour. Their own session ends with it.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: the person as whom they act.
        workspace_id: the workspace; None for all.
        reason: why, for the audit trail and the customer.
        ticket: the support ticket.
        device: the browser, as it names itself.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such user, or they belong to no (such) workspace.
        NotAllowedError: the caller is no support admin or acts as somebody already, or the user is one.

    """
    if not caller.support or caller.actor_user_id is not None:
        raise NotAllowedError("not_a_support_admin", "Only support admins may act as a user.", "Ask Wevion support.")
    async with state.transition(deps) as tx:
        # Both users are locked, in the order of their ids, so that two impersonations cannot wait for each other.
        locked = {one: await stored.lock_user(tx.db, one) for one in sorted({user_id, caller.user_id}, key=str)}
        user, admin = locked[user_id], locked[caller.user_id]
        if user is None or admin is None or user.disabled:
            raise NotFoundError("user")
        if user.support_admin or user_id == caller.user_id:
            raise NotAllowedError(
                "cannot_impersonate", "Nobody may act as a support admin.", "Choose a customer's user."
            )
        own = await sessions.lock(tx.db, caller.session_id)
        if own is None or not own.live(now) or not admin.support_admin:
            raise NotFoundError("session")
        memberships = await stored.memberships(tx.db, user_id)
        chosen = next((one for one in memberships if workspace_id in (None, one.workspace_id)), None)
        if chosen is None:
            raise NotFoundError("user")
        cookie = random_token()
        change = life.opened(
            session_id=new_id(),
            user_id=user_id,
            workspace_id=chosen.workspace_id,
            role=chosen.role,
            epoch=user.epoch,
            device=device,
            address=caller.address,
            now=now,
            lifetimes=deps.lifetimes,
            actor_user_id=caller.user_id,
        )
        await state.open_session(tx, change, hash_secret(cookie), now)
        await sessions.insert_impersonation(tx.db, change.session, reason=reason, ticket=ticket, now=now)
        await state.end(tx, [own], EndCause.SUPERSEDED, DetectedBy.USER, now)
        entry = AuditedAct(
            audit_id=new_id(),
            at=now,
            action=Action.IMPERSONATION_STARTED,
            workspace_id=change.session.workspace_id,
            actor_user_id=caller.user_id,
            as_user_id=user_id,
            session_id=change.session.session_id,
            target_kind="user",
            target_id=str(user_id),
            address=caller.address,
            reason=reason,
            details={"ticket": ticket} if ticket else {},
        )
        await audit.add(tx.db, [entry])
    return Impersonating(change.session, cookie, user)


async def end_impersonation(deps: Deps, caller: Caller, now: datetime) -> None:
    """The caller stops acting as somebody else.

    Raises:
        NotFoundError: they do not act as anybody.

    """
    if caller.actor_user_id is None:
        raise NotFoundError("impersonation")
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.db, caller.user_id)
        session = await sessions.lock(tx.db, caller.session_id)
        if session is None or not session.live(now):
            raise NotFoundError("impersonation")
        await state.end(tx, [session], EndCause.IMPERSONATION_ENDED, DetectedBy.USER, now)
        await record_act(tx.db, caller, Action.IMPERSONATION_ENDED, now)
