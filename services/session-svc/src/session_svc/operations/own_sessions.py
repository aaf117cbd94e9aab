"""What the signed-in person does with their own sessions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import translate_errors
from session_svc.core import people
from session_svc.core import session as life
from session_svc.core.audit import Action
from session_svc.core.errors import NotAllowedError, NotFoundError
from session_svc.core.impersonation import Impersonation
from session_svc.core.session import Change, EndCause, Session
from session_svc.operations import links, state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.sign_in import SHOW_SUPPORT_ACCESS_FOR, own_end
from session_svc.store import people as stored_people
from session_svc.store import sessions


@dataclass(frozen=True, slots=True)
class OwnSessions:
    """What a person is signed in with, and when support acted as them."""

    live: tuple[Session, ...]
    support_access: tuple[Impersonation, ...]


async def listing(deps: Deps, user_id: UUID, now: datetime) -> OwnSessions:
    """Return the live sessions of a user and the support sessions of the last 90 days."""
    with translate_errors():
        live = await sessions.live_of_user(deps.pool, user_id, now)
        support = await sessions.impersonations_of(deps.pool, user_id, now - SHOW_SUPPORT_ACCESS_FOR)
    return OwnSessions(live, support)


async def end(deps: Deps, caller: Caller, session_id: UUID, now: datetime) -> None:
    """A person ends one of their sessions, on this or another device, or support's session as them.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        session_id: the session.
        now: the present time, in UTC.

    Raises:
        NotFoundError: it is not theirs, or is over.

    """
    async with state.transition(deps) as tx:
        await stored_people.lock_user(tx.db, caller.user_id)
        session = await sessions.lock(tx.db, session_id)
        if session is None or session.user_id != caller.user_id or not session.live(now):
            raise NotFoundError("session")
        await state.end(tx, [session], own_end(session, EndCause.SIGNED_OUT), DetectedBy.USER, now)
        await record_act(tx.db, caller, Action.SESSION_ENDED, now, target=("session", str(session_id)))


async def end_others(deps: Deps, caller: Caller, now: datetime) -> int:
    """A person ends all of their sessions but the present one; returns how many."""
    async with state.transition(deps) as tx:
        await stored_people.lock_user(tx.db, caller.user_id)
        live = await sessions.lock_live_of_user(tx.db, caller.user_id)
        others = [one for one in live if one.session_id != caller.session_id]
        changes: list[Change] = [
            life.ended(one, own_end(one, EndCause.SIGNED_OUT), DetectedBy.USER, now) for one in others
        ]
        await state.record(tx, changes, now)
        await links.end_links_of(tx.db, caller.user_id, now)
        await record_act(
            tx.db,
            caller,
            Action.SIGNED_OUT_EVERYWHERE,
            now,
            details={"ended": str(len(changes)), "kept": "this"},
        )
    return len(changes)


async def switch_workspace(deps: Deps, caller: Caller, workspace_id: UUID, now: datetime) -> Session:
    """Move the caller's session to another of their workspaces.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        workspace_id: the workspace.
        now: the present time, in UTC.

    Raises:
        NotAllowedError: they do not belong to it, or the session is an impersonation.

    """
    async with state.transition(deps) as tx:
        user = await stored_people.lock_user(tx.db, caller.user_id)
        session = await sessions.lock(tx.db, caller.session_id)
        if user is None or session is None or not session.live(now):
            raise NotFoundError("session")
        membership = await stored_people.membership(tx.db, caller.user_id, workspace_id)
        if membership is None or session.impersonated:
            raise NotAllowedError(
                "not_a_member", "You do not belong to this workspace.", "Ask one of its administrators to add you."
            )
        role = people.effective_role(support_admin=user.support_admin, membership=membership.role)
        change = life.switched(session, workspace_id, role, now)
        await state.record(tx, [change], now)
        await sessions.note_departure(tx.db, session.session_id, session.workspace_id, now)
        await stored_people.note_use(tx.db, caller.user_id, workspace_id, now)
        await record_act(tx.db, caller, Action.WORKSPACE_SWITCHED, now, target=("workspace", str(workspace_id)))
    return change.session
