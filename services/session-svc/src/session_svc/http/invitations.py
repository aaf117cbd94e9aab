"""`/api/v1/invitations` and `/api/v1/admin/users`: invited, accepted, declined, withdrawn, left."""

from datetime import datetime
from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, SecretStr

from common.runtime.clock import Clock
from common.web import Access, Page, PageQuery, Principal, Reply, Routes, decode_cursor, encode_cursor
from session_svc.core.invitations import Invitation
from session_svc.core.people import Role
from session_svc.http.admin import ADMINS, IdPath
from session_svc.http.edge import Edge
from session_svc.http.models import Email, Locale, MembershipRole, Name, Password, TimeZone
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import admin, invitations
from session_svc.operations.deps import Deps

REFUSED = [(410, f"invitation_{why}") for why in ("unknown", "used", "withdrawn", "expired")]


class NewInvitation(BaseModel):
    """Whom to invite to the caller's workspace, and as what."""

    email: Email
    role: MembershipRole = Role.MEMBER


class Invited(BaseModel):
    """The invitation. It is the same answer whether or not the address has an account."""

    invitation_id: UUID
    expires_at: datetime


class OpenInvitation(BaseModel):
    """An invitation that the workspace waits for."""

    invitation_id: UUID
    email: str
    role: Role
    invited_by: UUID
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, one: Invitation) -> Self:
        """As the workspace's administrators see it."""
        return cls(
            invitation_id=one.invitation_id,
            email=one.email,
            role=one.role,
            invited_by=one.invited_by,
            created_at=one.created_at,
            expires_at=one.expires_at,
        )


class InvitationView(BaseModel):
    """An invitation as the invited person sees it."""

    invitation_id: UUID
    workspace_name: str
    inviter_name: str
    role: Role
    expires_at: datetime

    @classmethod
    def of(cls, one: Invitation) -> Self:
        """As the invited person sees it."""
        return cls(
            invitation_id=one.invitation_id,
            workspace_name=one.workspace_name,
            inviter_name=one.inviter_name,
            role=one.role,
            expires_at=one.expires_at,
        )


class LinkedInvitation(InvitationView):
    """The invitation behind a mailed link."""

    email: str
    has_account: bool = Field(description="then accepting needs the account's password; else a name and a new one")


class InvitationLink(BaseModel):
    """The secret of a mailed link."""

    token: SecretStr = Field(min_length=1, max_length=200)


class AcceptInvitation(InvitationLink):
    """The answer of somebody who is not signed in."""

    password: Password
    name: Name | None = Field(default=None, description="needed for a new account")
    time_zone: TimeZone = "UTC"
    locale: Locale = "en"


class Joined(BaseModel):
    """The workspace that the person belongs to now."""

    workspace_id: UUID


class WorkspacePath(BaseModel):
    """A workspace in the path."""

    workspace_id: UUID


def routes(deps: Deps, edge: Edge, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = RefusingRoutes("invitations", deps.public_url)
    _by_admins(r, deps, edge, clock)
    _by_the_person(r, deps, edge, clock)
    _by_link(r, deps, edge, clock)
    return r


def _by_admins(r: Routes, deps: Deps, edge: Edge, clock: Clock) -> None:
    by_admin = Access.user(ADMINS, refuse_act=True)

    @r.post(
        "/api/v1/admin/users",
        access=by_admin,
        summary="Invite a person to the workspace",
        status=201,
        problems=[(403, "outranked"), (409, "taken"), (429, "too_many_attempts")],
    )
    async def invite(body: NewInvitation, principal: Principal, request: web.Request) -> Invited:
        """Mail an invitation. The person becomes a member when they accept; until then nothing of them is shown."""
        invitation_id, expires_at = await invitations.invite(
            deps, edge.caller(principal, request), email=body.email, role=body.role, now=clock.now()
        )
        return Invited(invitation_id=invitation_id, expires_at=expires_at)

    @r.get("/api/v1/admin/invitations", access=by_admin, summary="Open invitations of the workspace")
    async def pending(query: PageQuery, principal: Principal, request: web.Request) -> Page[OpenInvitation]:
        """Addresses and roles, as they were typed here."""
        caller = edge.caller(principal, request)
        listing = f"invitations:{caller.workspace_id}"
        after = decode_cursor(listing, query.cursor, [UUID])
        found = await invitations.of_workspace(
            deps, caller, after=after[0] if after else None, limit=query.limit + 1, now=clock.now()
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page[OpenInvitation](
            items=[OpenInvitation.of(one) for one in shown],
            next_cursor=encode_cursor(listing, [shown[-1].invitation_id]) if more else None,
        )

    @r.delete(
        "/api/v1/admin/invitations/{id}",
        access=by_admin,
        summary="Withdraw an invitation",
        status=204,
        problems=[(403, "outranked")],
    )
    async def withdraw(path: IdPath, principal: Principal, request: web.Request) -> None:
        """Its link ends."""
        await invitations.withdraw(deps, edge.caller(principal, request), path.id, clock.now())


def _by_the_person(r: Routes, deps: Deps, edge: Edge, clock: Clock) -> None:
    myself = Access.user(refuse_act=True)

    @r.get("/api/v1/invitations", access=myself, summary="What the caller is invited to")
    async def own(principal: Principal) -> Page[InvitationView]:
        """Return open invitations to the caller's address, newest first; at most 100."""
        found = await invitations.of_person(deps, principal.user_id, clock.now())
        return Page[InvitationView](items=[InvitationView.of(one) for one in found], next_cursor=None)

    @r.post("/api/v1/invitations/{id}/accept", access=myself, summary="Accept an invitation", problems=REFUSED)
    async def accept(path: IdPath, principal: Principal, request: web.Request) -> Joined:
        """The membership begins now."""
        caller = edge.caller(principal, request)
        return Joined(workspace_id=await invitations.answer(deps, caller, path.id, accept=True, now=clock.now()))

    @r.post(
        "/api/v1/invitations/{id}/decline",
        access=myself,
        summary="Decline an invitation",
        status=204,
        problems=REFUSED,
    )
    async def decline(path: IdPath, principal: Principal, request: web.Request) -> None:
        """The workspace learns nothing of the person."""
        await invitations.answer(deps, edge.caller(principal, request), path.id, accept=False, now=clock.now())

    @r.delete(
        "/api/v1/memberships/{workspace_id}",
        access=myself,
        summary="Leave a workspace",
        status=204,
        problems=[(403, "last_owner")],
    )
    async def leave(path: WorkspacePath, principal: Principal, request: web.Request) -> None:
        """The caller's sessions there end. Only the last owner has to name another one first."""
        await admin.leave(deps, edge.caller(principal, request), path.workspace_id, clock.now())


def _by_link(r: Routes, deps: Deps, edge: Edge, clock: Clock) -> None:
    limited = (429, "too_many_attempts")

    @r.post(
        "/api/v1/invitations/by-link",
        access=Access.public(),
        summary="See the invitation behind a mailed link",
        problems=[*REFUSED, limited],
        max_body_bytes=4096,
    )
    async def look_up_link(body: InvitationLink, request: web.Request) -> LinkedInvitation:
        """Return who invites, to what, as what."""
        found, has_account = await invitations.look_up(
            deps, secret=body.token.get_secret_value(), place=edge.place(request), now=clock.now()
        )
        view = InvitationView.of(found)
        return LinkedInvitation(**view.model_dump(), email=found.email, has_account=has_account)

    @r.post(
        "/api/v1/invitations/by-link/accept",
        access=Access.public(),
        summary="Accept by a mailed link, without being signed in",
        problems=[*REFUSED, limited, (401, "wrong_credentials"), (403, "name_needed")],
        max_body_bytes=4096,
    )
    async def accept_link(body: AcceptInvitation, request: web.Request) -> Joined:
        """Makes the account if there is none. Sign in afterwards."""
        workspace_id = await invitations.accept_by_link(
            deps,
            secret=body.token.get_secret_value(),
            password=body.password.get_secret_value(),
            name=body.name,
            time_zone=body.time_zone,
            locale=body.locale,
            place=edge.place(request),
            now=clock.now(),
        )
        return Joined(workspace_id=workspace_id)

    @r.post(
        "/api/v1/invitations/by-link/decline",
        access=Access.public(),
        summary="Decline by a mailed link",
        status=204,
        problems=[*REFUSED, limited],
        max_body_bytes=4096,
    )
    async def decline_link(body: InvitationLink, request: web.Request) -> Reply:
        """No account is needed for it."""
        await invitations.decline_by_link(
            deps, secret=body.token.get_secret_value(), place=edge.place(request), now=clock.now()
        )
        return Reply(None, 204)
