"""What administrators do: force people out, manage members, read the audit trail; and how a member leaves.

A workspace's admins reach its members; support admins reach everybody. What a caller may not reach does not exist
for them: the refusal is "not found" in both cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import Db, transaction, translate_errors
from session_svc.core import people
from session_svc.core import session as life
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.errors import NotAllowedError, NotFoundError
from session_svc.core.people import Member, Role
from session_svc.core.session import EndCause, Session
from session_svc.operations import links, state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.ranks import check_rank
from session_svc.store import audit, sessions
from session_svc.store import people as stored


async def force_out_session(deps: Deps, caller: Caller, session_id: UUID, now: datetime) -> None:
    """End one session.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        session_id: the session.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no live session of that id within the caller's reach.
        NotAllowedError: its user ranks above the caller.

    """
    async with state.transition(deps) as tx:
        found = await sessions.by_id(tx.db, session_id)
        if found is None or not (caller.support or found.workspace_id == caller.workspace_id):
            raise NotFoundError("session")
        await stored.lock_user(tx.db, found.user_id)
        session = await sessions.lock(tx.db, session_id)
        if session is None or not session.live(now):
            raise NotFoundError("session")
        check_rank(caller, session.role)
        cause = EndCause.IMPERSONATION_ENDED if session.impersonated else EndCause.ADMIN_FORCED
        await state.end(tx, [session], cause, DetectedBy.ADMIN, now)
        await record_act(
            tx.db,
            caller,
            Action.SESSION_FORCED_OUT,
            now,
            workspace_id=session.workspace_id,
            target=("user", str(session.user_id)),
            details={"session_id": str(session_id)},
        )


async def force_out_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> int:
    """End a user's sessions; returns how many.

    A workspace's admins end those that work, or within the last hour worked, in their workspace: a membership gives no
    power over what a person does elsewhere. Support admins end all of them, and the JWTs of all of them.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: the person.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such user within the caller's reach.
        NotAllowedError: the user ranks above the caller.

    """
    async with state.transition(deps) as tx:
        reached = await _reach_user(tx.db, caller, user_id)
        if caller.support:
            count = await state.end_all_of_user(tx, user_id, EndCause.ADMIN_FORCED, DetectedBy.ADMIN, now)
        else:
            live = await _live_in_workspace(deps, tx, caller.workspace_id, now, user_id=user_id)
            count = await state.end(tx, live, EndCause.ADMIN_FORCED, DetectedBy.ADMIN, now)
        details = {"sessions": str(count)}
        await _record(
            tx.db, caller, Action.USER_FORCED_OUT, now, user_id=user_id, workspace_ids=reached, details=details
        )
    return count


@dataclass(frozen=True, slots=True)
class ForcedOut:
    """How many sessions ended, and how many of people above the caller were left alone."""

    ended: int
    kept: int


async def force_out_workspace(deps: Deps, caller: Caller, workspace_id: UUID, now: datetime) -> ForcedOut:
    """End every session in a workspace, the caller's own too, but none of a person who ranks above the caller.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        workspace_id: the workspace.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such workspace within the caller's reach.

    """
    async with state.transition(deps) as tx:
        if not (caller.support or caller.workspace_id == workspace_id) or not await stored.workspace_exists(
            tx.db, workspace_id
        ):
            raise NotFoundError("workspace")
        live = await _live_in_workspace(deps, tx, workspace_id, now)
        roles = await stored.roles_in(tx.db, workspace_id, [one.user_id for one in live])
        within = [
            one for one in live if one.impersonated or people.may_manage(caller.role, roles.get(one.user_id, one.role))
        ]
        changes = [
            life.ended(
                one,
                EndCause.IMPERSONATION_ENDED if one.impersonated else EndCause.ADMIN_FORCED,
                DetectedBy.ADMIN,
                now,
            )
            for one in within
        ]
        await state.record(tx, changes, now)
        await record_act(
            tx.db,
            caller,
            Action.WORKSPACE_FORCED_OUT,
            now,
            workspace_id=workspace_id,
            target=("workspace", str(workspace_id)),
            details={"sessions": str(len(changes)), "kept": str(len(live) - len(within))},
        )
    return ForcedOut(len(changes), len(live) - len(within))


async def disable_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> None:
    """Let nobody sign in as this user any more, and end every session and open link of theirs. Support admins only.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: the person.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such user.

    """
    async with state.transition(deps) as tx:
        reached = await _reach_user(tx.db, caller, user_id)
        await stored.set_disabled(tx.db, user_id, now)
        await state.end_all_of_user(tx, user_id, EndCause.ACCOUNT_DISABLED, DetectedBy.ADMIN, now)
        await links.end_links_of(tx.db, user_id, now)
        await _record(tx.db, caller, Action.USER_DISABLED, now, user_id=user_id, workspace_ids=reached)


async def enable_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> None:
    """Let the user sign in again.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: the person.
        now: the present time, in UTC.

    Raises:
        NotFoundError: there is no such user.

    """
    async with transaction(deps.pool) as db:
        reached = await _reach_user(db, caller, user_id)
        await stored.set_disabled(db, user_id, None)
        await _record(db, caller, Action.USER_ENABLED, now, user_id=user_id, workspace_ids=reached)


async def change_role(deps: Deps, caller: Caller, user_id: UUID, role: Role | None, now: datetime) -> None:
    """Give a member of the caller's workspace another role; None removes them. Their sessions there end.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: the person.
        role: the new role; None removes them.
        now: the present time, in UTC.

    Raises:
        NotFoundError: they are no member of it.
        NotAllowedError: the present or the new role ranks above the caller, or the last owner would go.

    """
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.db, user_id)
        membership = await stored.membership(tx.db, user_id, caller.workspace_id)
        if membership is None:
            raise NotFoundError("member")
        check_rank(caller, membership.role)
        if role is not None:
            check_rank(caller, role)
        if role is not Role.OWNER:
            await _keep_an_owner(tx.db, caller.workspace_id, user_id)
        if role is membership.role:
            return
        if role is None:
            await stored.delete_membership(tx.db, user_id, caller.workspace_id)
        else:
            await stored.put_membership(tx.db, user_id, caller.workspace_id, role, now)
        live = await _live_in_workspace(deps, tx, caller.workspace_id, now, user_id=user_id)
        await state.end(tx, live, EndCause.PERMISSION_CHANGED, DetectedBy.ADMIN, now)
        await record_act(
            tx.db,
            caller,
            Action.MEMBERSHIP_REMOVED if role is None else Action.MEMBERSHIP_CHANGED,
            now,
            target=("user", str(user_id)),
            details={"from": membership.role.value, "to": role.value if role else "none"},
        )


async def leave(deps: Deps, caller: Caller, workspace_id: UUID, now: datetime) -> None:
    """End the caller's own membership of a workspace, and their sessions there. Nobody is kept in one.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        workspace_id: the workspace.
        now: the present time, in UTC.

    Raises:
        NotFoundError: they are no member of it.
        NotAllowedError: they are its last owner.

    """
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.db, caller.user_id)
        membership = await stored.membership(tx.db, caller.user_id, workspace_id)
        if membership is None:
            raise NotFoundError("membership")
        await _keep_an_owner(tx.db, workspace_id, caller.user_id)
        await stored.delete_membership(tx.db, caller.user_id, workspace_id)
        live = await _live_in_workspace(deps, tx, workspace_id, now, user_id=caller.user_id)
        await state.end(tx, live, EndCause.PERMISSION_CHANGED, DetectedBy.USER, now)
        await record_act(
            tx.db,
            caller,
            Action.WORKSPACE_LEFT,
            now,
            workspace_id=workspace_id,
            target=("user", str(caller.user_id)),
            details={"from": membership.role.value, "to": "none"},
        )


async def members(
    deps: Deps,
    *,
    workspace_id: UUID | None,
    user_id: UUID | None,
    search: str | None,
    after: tuple[UUID, UUID] | None,
    limit: int,
) -> tuple[Member, ...]:
    """People with their place in a workspace (None: in all).

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace; None for all.
        user_id: only this person; None for all.
        search: a part of the name or the address; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    with translate_errors():
        return await stored.members(
            deps.pool, workspace_id=workspace_id, user_id=user_id, search=search, after=after, limit=limit
        )


async def live_sessions(
    deps: Deps, caller: Caller, *, user_id: UUID | None, before: UUID | None, limit: int, now: datetime
) -> tuple[Session, ...]:
    """Return the sessions that the caller could end: of their workspace, and for support admins of all.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        user_id: only this person's; None for all.
        before: where the page begins: with what is older than this one; None for the newest page.
        limit: how many are returned at most.
        now: the present time, in UTC.

    """
    workspace_id = None if caller.support else caller.workspace_id
    with translate_errors():
        return await sessions.live_page(
            deps.pool, now, workspace_id=workspace_id, user_id=user_id, before=before, limit=limit
        )


@dataclass(frozen=True, slots=True)
class Trail:
    """Lines of the audit trail, and what the people in them are called."""

    entries: tuple[AuditedAct, ...]
    names: Mapping[UUID, str]


async def audit_trail(deps: Deps, caller: Caller, *, before: UUID | None, limit: int, now: datetime) -> Trail:
    """Return the audit trail of the caller's workspace (of all, for support admins), and record the reading.

    Args:
        deps: what the operations of the service work with.
        caller: who calls.
        before: where the page begins: with what is older than this one; None for the newest page.
        limit: how many are returned at most.
        now: the present time, in UTC.

    """
    workspace_id = None if caller.support else caller.workspace_id
    async with transaction(deps.pool) as db:
        entries = await audit.page(db, workspace_id=workspace_id, before=before, limit=limit)
        await record_act(
            db, caller, Action.AUDIT_READ, now, details={"before": str(before) if before else "the newest"}
        )
        people = {person for entry in entries for person in entry.people()}
        names = await stored.names(db, sorted(people))
    return Trail(entries, names)


async def _reach_user(db: Db, caller: Caller, user_id: UUID) -> tuple[UUID, ...]:
    """Lock a user whom the caller reaches, and return the workspaces that the act touches.

    An admin reaches the members of their workspace and touches that one. Support reaches everybody and touches every
    workspace that the person belongs to.
    """
    user = await stored.lock_user(db, user_id)
    if user is None:
        raise NotFoundError("user")
    if caller.support:
        memberships = await stored.memberships(db, user_id)
        return tuple(one.workspace_id for one in memberships) or (caller.workspace_id,)
    membership = await stored.membership(db, user_id, caller.workspace_id)
    if membership is None:
        raise NotFoundError("user")
    check_rank(caller, people.effective_role(support_admin=user.support_admin, membership=membership.role))
    return (caller.workspace_id,)


async def _record(
    db: Db,
    caller: Caller,
    action: Action,
    now: datetime,
    *,
    user_id: UUID,
    workspace_ids: Sequence[UUID],
    details: dict[str, str] | None = None,
) -> None:
    """Write the act into the trail of every workspace that it touches."""
    for workspace_id in workspace_ids:
        await record_act(
            db,
            caller,
            action,
            now,
            workspace_id=workspace_id,
            target=("user", str(user_id)),
            details=details,
        )


async def _keep_an_owner(db: Db, workspace_id: UUID, leaving: UUID) -> None:
    if await stored.lock_owners(db, workspace_id) == (leaving,):
        raise NotAllowedError(
            "last_owner", "A workspace needs an owner, and this is its last one.", "Make somebody else owner first."
        )


async def _live_in_workspace(
    deps: Deps, tx: state.Transition, workspace_id: UUID, now: datetime, *, user_id: UUID | None = None
) -> tuple[Session, ...]:
    """Lock the live sessions (of one user, or of all) that can hold a JWT for the workspace."""
    jwts_alive_since = now - deps.lifetimes.jwt - deps.lifetimes.skew - timedelta(seconds=1)
    return await sessions.lock_live_in_workspace(tx.db, workspace_id, switched_after=jwts_alive_since, user_id=user_id)
