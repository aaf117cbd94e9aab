"""What administrators do: force people out, manage members, act as a user, read the audit trail.

A workspace's admins reach its members; support admins reach everybody. What a caller may not reach does not exist
for them: the refusal is "not found" in both cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import Connection, transaction, translate_errors
from common.runtime.ids import new_id, random_token
from session_svc.core import people
from session_svc.core import session as life
from session_svc.core.audit import Action, Entry
from session_svc.core.errors import NotAllowed, NotFound
from session_svc.core.people import Member, Membership, Role, User
from session_svc.core.session import EndCause, Session
from session_svc.operations import state
from session_svc.operations.deps import Caller, Deps, record_act
from session_svc.operations.tokens import hash_secret
from session_svc.store import audit, resets, sessions
from session_svc.store import people as stored


async def force_out_session(deps: Deps, caller: Caller, session_id: UUID, now: datetime) -> None:
    """End one session.

    Raises:
        NotFound: there is no live session of that id within the caller's reach.
        NotAllowed: its user ranks above the caller.

    """
    async with state.transition(deps) as tx:
        found = await sessions.by_id(tx.connection, session_id)
        if found is None or not (caller.support or found.workspace_id == caller.workspace_id):
            raise NotFound("session")
        await stored.lock_user(tx.connection, found.user_id)
        session = await sessions.lock(tx.connection, session_id)
        if session is None or not session.live(now):
            raise NotFound("session")
        _check_rank(caller, session.role)
        cause = EndCause.IMPERSONATION_ENDED if session.impersonated else EndCause.ADMIN_FORCED
        await state.end(tx, [session], cause, DetectedBy.ADMIN, now)
        await record_act(
            tx.connection,
            caller,
            Action.SESSION_FORCED_OUT,
            now,
            workspace_id=session.workspace_id,
            target=("user", str(session.user_id)),
            details={"session_id": str(session_id)},
        )


async def force_out_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> int:
    """End every session of a user; returns how many.

    Raises:
        NotFound: there is no such user within the caller's reach.
        NotAllowed: the user ranks above the caller.

    """
    async with state.transition(deps) as tx:
        target = await _reach_user(tx.connection, caller, user_id)
        count = await state.end_all_of_user(tx, user_id, EndCause.ADMIN_FORCED, DetectedBy.ADMIN, now)
        await record_act(
            tx.connection,
            caller,
            Action.USER_FORCED_OUT,
            now,
            workspace_id=target.workspace_id,
            target=("user", str(user_id)),
            details={"sessions": str(count)},
        )
    return count


async def force_out_workspace(deps: Deps, caller: Caller, workspace_id: UUID, now: datetime) -> int:
    """End every session in a workspace, the caller's own too; returns how many.

    Raises:
        NotFound: there is no such workspace within the caller's reach.

    """
    async with state.transition(deps) as tx:
        if not (caller.support or caller.workspace_id == workspace_id) or not await stored.workspace_exists(
            tx.connection, workspace_id
        ):
            raise NotFound("workspace")
        live = await sessions.lock_live_in_workspace(
            tx.connection, workspace_id, switched_after=_jwts_alive_since(deps, now)
        )
        changes = [
            life.ended(
                one,
                EndCause.IMPERSONATION_ENDED if one.impersonated else EndCause.ADMIN_FORCED,
                DetectedBy.ADMIN,
                now,
            )
            for one in live
        ]
        await state.record(tx, changes, now)
        await record_act(
            tx.connection,
            caller,
            Action.WORKSPACE_FORCED_OUT,
            now,
            workspace_id=workspace_id,
            target=("workspace", str(workspace_id)),
            details={"sessions": str(len(changes))},
        )
    return len(changes)


async def disable_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> None:
    """Nobody signs in as this user any more, and every session of theirs ends. Support admins only.

    Raises:
        NotFound: there is no such user.

    """
    async with state.transition(deps) as tx:
        target = await _reach_user(tx.connection, caller, user_id)
        await stored.set_disabled(tx.connection, user_id, now)
        await state.end_all_of_user(tx, user_id, EndCause.ACCOUNT_DISABLED, DetectedBy.ADMIN, now)
        await record_act(
            tx.connection,
            caller,
            Action.USER_DISABLED,
            now,
            workspace_id=target.workspace_id,
            target=("user", str(user_id)),
        )


async def enable_user(deps: Deps, caller: Caller, user_id: UUID, now: datetime) -> None:
    """The user may sign in again.

    Raises:
        NotFound: there is no such user.

    """
    async with transaction(deps.pool) as connection:
        target = await _reach_user(connection, caller, user_id)
        await stored.set_disabled(connection, user_id, None)
        await record_act(
            connection,
            caller,
            Action.USER_ENABLED,
            now,
            workspace_id=target.workspace_id,
            target=("user", str(user_id)),
        )


async def change_role(deps: Deps, caller: Caller, user_id: UUID, role: Role | None, now: datetime) -> None:
    """Give a member of the caller's workspace another role; None removes them. Their sessions there end.

    Raises:
        NotFound: they are no member of it.
        NotAllowed: the present or the new role ranks above the caller, or the last owner would go.

    """
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.connection, user_id)
        membership = await stored.membership(tx.connection, user_id, caller.workspace_id)
        if membership is None:
            raise NotFound("member")
        _check_rank(caller, membership.role)
        if role is not None:
            _check_rank(caller, role)
        owners = await stored.lock_owners(tx.connection, caller.workspace_id)
        if owners == (user_id,) and role is not Role.OWNER:
            raise NotAllowed(
                "last_owner", "A workspace needs an owner, and this is its last one.", "Make somebody else owner first."
            )
        if role is membership.role:
            return
        if role is None:
            await stored.delete_membership(tx.connection, user_id, caller.workspace_id)
        else:
            await stored.put_membership(tx.connection, user_id, caller.workspace_id, role, now)
        live = await sessions.lock_live_in_workspace(
            tx.connection, caller.workspace_id, switched_after=_jwts_alive_since(deps, now), user_id=user_id
        )
        await state.end(tx, live, EndCause.PERMISSION_CHANGED, DetectedBy.ADMIN, now)
        await record_act(
            tx.connection,
            caller,
            Action.MEMBERSHIP_REMOVED if role is None else Action.MEMBERSHIP_CHANGED,
            now,
            target=("user", str(user_id)),
            details={"from": membership.role.value, "to": role.value if role else "none"},
        )


async def invite(
    deps: Deps, caller: Caller, *, email: str, name: str, role: Role, time_zone: str, locale: str, now: datetime
) -> tuple[UUID, bool]:
    """Make a person a member of the caller's workspace; returns their id and whether they are new to Wevion.

    A new person gets a mail with a link to set a password. Somebody who is with Wevion already only becomes a member.

    Raises:
        NotAllowed: the role ranks above the caller.

    """
    _check_rank(caller, role)
    async with transaction(deps.pool) as connection:
        new = User.new(new_id(), email=email, name=name, time_zone=time_zone, locale=locale)
        user, created = await stored.insert_or_find(connection, new, None, now)
        if not created:
            await stored.lock_user(connection, user.user_id)
        if await stored.membership(connection, user.user_id, caller.workspace_id) is None:
            await stored.put_membership(connection, user.user_id, caller.workspace_id, role, now)
        if created:
            await resets.insert(connection, new_id(), people.email_key(email), now)
        await record_act(
            connection,
            caller,
            Action.USER_CREATED if created else Action.MEMBERSHIP_CHANGED,
            now,
            target=("user", str(user.user_id)),
            details={"to": role.value},
        )
    if created:
        deps.poke_mail()
    return user.user_id, created


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
    """A support admin acts as a user from now on, for at most an hour. Their own session ends with it.

    Raises:
        NotFound: there is no such user, or they belong to no (such) workspace.
        NotAllowed: the caller is no support admin or acts as somebody already, or the user is one.

    """
    if not caller.support or caller.actor_user_id is not None:
        raise NotAllowed("not_a_support_admin", "Only support admins may act as a user.", "Ask Wevion support.")
    async with state.transition(deps) as tx:
        # Both users are locked, in the order of their ids, so that two impersonations cannot wait for each other.
        locked = {one: await stored.lock_user(tx.connection, one) for one in sorted({user_id, caller.user_id}, key=str)}
        user, admin = locked[user_id], locked[caller.user_id]
        if user is None or admin is None or user.disabled:
            raise NotFound("user")
        if user.support_admin or user_id == caller.user_id:
            raise NotAllowed("cannot_impersonate", "Nobody may act as a support admin.", "Choose a customer's user.")
        own = await sessions.lock(tx.connection, caller.session_id)
        if own is None or not own.live(now) or not admin.support_admin:
            raise NotFound("session")
        memberships = await stored.memberships(tx.connection, user_id)
        chosen = next((one for one in memberships if workspace_id in (None, one.workspace_id)), None)
        if chosen is None:
            raise NotFound("user")
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
        await sessions.insert_impersonation(tx.connection, change.session, reason=reason, ticket=ticket, now=now)
        await state.end(tx, [own], EndCause.SUPERSEDED, DetectedBy.USER, now)
        entry = Entry(
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
        await audit.add(tx.connection, [entry])
    return Impersonating(change.session, cookie, user)


async def end_impersonation(deps: Deps, caller: Caller, now: datetime) -> None:
    """The caller stops acting as somebody else.

    Raises:
        NotFound: they do not act as anybody.

    """
    if caller.actor_user_id is None:
        raise NotFound("impersonation")
    async with state.transition(deps) as tx:
        await stored.lock_user(tx.connection, caller.user_id)
        session = await sessions.lock(tx.connection, caller.session_id)
        if session is None or not session.live(now):
            raise NotFound("impersonation")
        await state.end(tx, [session], EndCause.IMPERSONATION_ENDED, DetectedBy.USER, now)
        await record_act(tx.connection, caller, Action.IMPERSONATION_ENDED, now)


async def members(
    deps: Deps,
    *,
    workspace_id: UUID | None,
    user_id: UUID | None,
    search: str | None,
    after: tuple[UUID, UUID] | None,
    limit: int,
) -> tuple[Member, ...]:
    """People with their place in a workspace (None: in all)."""
    with translate_errors():
        return await stored.members(
            deps.pool, workspace_id=workspace_id, user_id=user_id, search=search, after=after, limit=limit
        )


async def live_sessions(
    deps: Deps, caller: Caller, *, user_id: UUID | None, before: UUID | None, limit: int, now: datetime
) -> tuple[Session, ...]:
    """The sessions that the caller could end: of their workspace, and for support admins of all."""
    workspace_id = None if caller.support else caller.workspace_id
    with translate_errors():
        return await sessions.live_page(
            deps.pool, now, workspace_id=workspace_id, user_id=user_id, before=before, limit=limit
        )


@dataclass(frozen=True, slots=True)
class Trail:
    """Lines of the audit trail, and what the people in them are called."""

    entries: tuple[Entry, ...]
    names: Mapping[UUID, str]


async def audit_trail(deps: Deps, caller: Caller, *, before: UUID | None, limit: int, now: datetime) -> Trail:
    """The trail of the caller's workspace (for support admins: of all), newest first. Reading it is recorded in it."""
    workspace_id = None if caller.support else caller.workspace_id
    async with transaction(deps.pool) as connection:
        entries = await audit.page(connection, workspace_id=workspace_id, before=before, limit=limit)
        await record_act(
            connection, caller, Action.AUDIT_READ, now, details={"before": str(before) if before else "the newest"}
        )
        people = {person for entry in entries for person in entry.people()}
        names = await stored.names(connection, sorted(people))
    return Trail(entries, names)


async def _reach_user(connection: Connection, caller: Caller, user_id: UUID) -> Membership:
    """The user's membership through which the caller reaches them, with the user locked."""
    user = await stored.lock_user(connection, user_id)
    if user is None:
        raise NotFound("user")
    if caller.support:
        memberships = await stored.memberships(connection, user_id)
        if not memberships:
            raise NotFound("user")
        return memberships[0]
    membership = await stored.membership(connection, user_id, caller.workspace_id)
    if membership is None:
        raise NotFound("user")
    _check_rank(caller, people.effective_role(support_admin=user.support_admin, membership=membership.role))
    return membership


def _check_rank(caller: Caller, target: Role) -> None:
    if not people.may_manage(caller.role, target):
        raise NotAllowed(
            "outranked", "This needs a role that ranks at least as high.", "Ask an owner of the workspace to do it."
        )


def _jwts_alive_since(deps: Deps, now: datetime) -> datetime:
    return now - deps.lifetimes.jwt - deps.lifetimes.skew - timedelta(seconds=1)
