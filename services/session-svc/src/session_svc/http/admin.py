"""`/api/v1/admin`: what administrators of a workspace, and of Wevion, do."""

from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field

from common.runtime.clock import Clock
from common.web import Access, Page, PageQuery, Principal, Reply, Routes, decode_cursor, encode_cursor
from session_svc.core.errors import NotAllowedError
from session_svc.core.people import Role
from session_svc.http.edge import Edge
from session_svc.http.models import (
    AuditEntry,
    Ended,
    Impersonate,
    MemberSession,
    MemberView,
    RoleChange,
    SessionView,
    SignedInView,
    TokenView,
    WorkspaceEnded,
)
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import admin as operations
from session_svc.operations import impersonation, sign_in, tokens
from session_svc.operations.deps import Deps

ADMINS = frozenset({Role.OWNER.value, Role.ADMIN.value, Role.SUPPORT_ADMIN.value})
SUPPORT = frozenset({Role.SUPPORT_ADMIN.value})


class IdPath(BaseModel):
    """An id in the path."""

    id: UUID


class UsersQuery(PageQuery):
    """Filters of the list of users."""

    workspace_id: UUID | None = Field(default=None, description="only members of this workspace")
    user_id: UUID | None = Field(default=None, description="only this user")
    search: str | None = Field(
        default=None, min_length=1, max_length=100, description="only whose name or address has this in it"
    )


class SessionsQuery(PageQuery):
    """Filter of the list of sessions."""

    user_id: UUID | None = Field(default=None, description="only of this user")


def routes(deps: Deps, edge: Edge, clock: Clock) -> Routes:  # noqa: C901, PLR0915  a table of endpoints
    """Return the endpoints. Everything here refuses a support admin who acts as somebody, but for ending that."""
    r = RefusingRoutes("admin", deps.public_url)
    by_admin = Access.user(ADMINS, refuse_act=True)
    by_support = Access.user(SUPPORT, refuse_act=True)

    @r.get(
        "/api/v1/admin/users",
        access=Access.user_or_service("users:read", ADMINS, refuse_act=True),
        summary="People and their roles",
        problems=[(403, "other_workspace")],
    )
    async def users(query: UsersQuery, principal: Principal) -> Page[MemberView]:
        """Return one line per membership. Admins see their workspace; services and support admins all of them."""
        workspace_id = query.workspace_id
        if principal.kind == "user" and principal.role != Role.SUPPORT_ADMIN.value:
            if workspace_id not in (None, principal.workspace_id):
                raise NotAllowedError("other_workspace", "This is not your workspace.", "Leave workspace_id out.")
            workspace_id = principal.workspace_id
        listing = f"users:{workspace_id}:{query.user_id}:{query.search}"
        after = decode_cursor(listing, query.cursor, [UUID, UUID])
        found = await operations.members(
            deps,
            workspace_id=workspace_id,
            user_id=query.user_id,
            search=query.search,
            after=(after[0], after[1]) if after else None,
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page[MemberView](
            items=[MemberView.of(member) for member in shown],
            next_cursor=encode_cursor(listing, [shown[-1].user.user_id, shown[-1].workspace_id]) if more else None,
        )

    @r.put("/api/v1/admin/users/{id}/role", access=by_admin, summary="Change a member's role", status=204)
    async def change_role(path: IdPath, body: RoleChange, principal: Principal, request: web.Request) -> None:
        """Their sessions in the workspace end, because JWTs carry the role."""
        await operations.change_role(deps, edge.caller(principal, request), path.id, body.role, clock.now())

    @r.delete("/api/v1/admin/users/{id}", access=by_admin, summary="Remove a member from the workspace", status=204)
    async def remove_user(path: IdPath, principal: Principal, request: web.Request) -> None:
        """Their sessions in the workspace end. The person, and their other workspaces, stay."""
        await operations.change_role(deps, edge.caller(principal, request), path.id, None, clock.now())

    @r.post("/api/v1/admin/users/{id}/force-logout", access=by_admin, summary="End a user's sessions")
    async def force_out_user(path: IdPath, principal: Principal, request: web.Request) -> Ended:
        """By an admin: their sessions in the admin's workspace. By support: all of them, on every device.

        JWTs already issued are refused within milliseconds.
        """
        count = await operations.force_out_user(deps, edge.caller(principal, request), path.id, clock.now())
        return Ended(sessions_ended=count)

    @r.post("/api/v1/admin/users/{id}/disable", access=by_support, summary="Disable a user", status=204)
    async def disable(path: IdPath, principal: Principal, request: web.Request) -> None:
        """Ends every session; nobody signs in as this user until they are enabled."""
        await operations.disable_user(deps, edge.caller(principal, request), path.id, clock.now())

    @r.post("/api/v1/admin/users/{id}/enable", access=by_support, summary="Enable a user again", status=204)
    async def enable(path: IdPath, principal: Principal, request: web.Request) -> None:
        """They may sign in again."""
        await operations.enable_user(deps, edge.caller(principal, request), path.id, clock.now())

    @r.post("/api/v1/admin/workspaces/{id}/force-logout", access=by_admin, summary="End every session in a workspace")
    async def force_out_workspace(path: IdPath, principal: Principal, request: web.Request) -> WorkspaceEnded:
        """Return the caller's own, too. Sessions of people who rank above the caller go on, and are counted."""
        forced = await operations.force_out_workspace(deps, edge.caller(principal, request), path.id, clock.now())
        return WorkspaceEnded(sessions_ended=forced.ended, sessions_kept=forced.kept)

    @r.get("/api/v1/admin/sessions", access=by_admin, summary="Who is signed in, the latest sign-in first")
    async def sessions(query: SessionsQuery, principal: Principal, request: web.Request) -> Page[MemberSession]:
        """Live sessions of the caller's workspace; for support admins, of all."""
        caller = edge.caller(principal, request)
        listing = f"sessions:{'all' if caller.support else caller.workspace_id}:{query.user_id}"
        before = decode_cursor(listing, query.cursor, [UUID])
        found = await operations.live_sessions(
            deps,
            caller,
            user_id=query.user_id,
            before=before[0] if before else None,
            limit=query.limit + 1,
            now=clock.now(),
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page[MemberSession](
            items=[MemberSession.of(session, caller.session_id) for session in shown],
            next_cursor=encode_cursor(listing, [shown[-1].session_id]) if more else None,
        )

    @r.delete("/api/v1/admin/sessions/{id}", access=by_admin, summary="End one session", status=204)
    async def force_out_session(path: IdPath, principal: Principal, request: web.Request) -> None:
        """Of a member of the workspace."""
        await operations.force_out_session(deps, edge.caller(principal, request), path.id, clock.now())

    @r.post(
        "/api/v1/admin/impersonations",
        access=by_support,
        summary="Act as a user, for at most an hour",
        problems=[(403, "cannot_impersonate")],
    )
    async def impersonate(body: Impersonate, principal: Principal, request: web.Request) -> Reply:
        """Begin to act as a user. The answer's cookie replaces the admin's own session; the user can see it."""
        started = await impersonation.impersonate(
            deps,
            edge.caller(principal, request),
            user_id=body.user_id,
            workspace_id=body.workspace_id,
            reason=body.reason,
            ticket=body.ticket,
            device=edge.place(request).device,
            now=clock.now(),
        )
        view = SignedInView(
            session=SessionView.of(started.session, await sign_in.who(deps, started.session)),
            token=TokenView.of(await tokens.mint_for(deps, started.session, clock.now())),
        )
        return Reply(view, 200, edge.set_cookie(started.cookie))

    @r.delete("/api/v1/admin/impersonations/current", access=Access.user(), summary="Stop acting as a user", status=204)
    async def end_impersonation(principal: Principal, request: web.Request) -> None:
        """From now on the answer is: sign in again as the original admin."""
        await impersonation.end_impersonation(deps, edge.caller(principal, request), clock.now())

    @r.get("/api/v1/admin/audit", access=by_admin, summary="The audit trail, newest first")
    async def audit(query: PageQuery, principal: Principal, request: web.Request) -> Page[AuditEntry]:
        """Of the caller's workspace; for support admins, of all. Reading it is recorded in it."""
        caller = edge.caller(principal, request)
        listing = f"audit:{'all' if caller.support else caller.workspace_id}"
        before = decode_cursor(listing, query.cursor, [UUID])
        trail = await operations.audit_trail(
            deps, caller, before=before[0] if before else None, limit=query.limit + 1, now=clock.now()
        )
        shown = trail.entries[: query.limit]
        more = len(trail.entries) > query.limit
        return Page[AuditEntry](
            items=[AuditEntry.of(entry, trail.names) for entry in shown],
            next_cursor=encode_cursor(listing, [shown[-1].audit_id]) if more else None,
        )

    return r
