"""`/api/v1/auth`: signing in and out, JWTs, own sessions.

The endpoints that a browser needs while it may have no session (sign-in, token, session, sign-out) look at the cookie
themselves; the others take the JWT that the gateway puts in its place.
"""

from uuid import UUID

from aiohttp import web
from multidict import CIMultiDict
from pydantic import BaseModel

from common.runtime.clock import Clock
from common.web import Access, Principal, Reply, Routes
from session_svc.http.edge import Edge, device_cookie, session_cookie
from session_svc.http.models import (
    Ended,
    OwnSession,
    OwnSessionsView,
    SessionView,
    SignedInView,
    SignIn,
    SignOut,
    SupportAccess,
    SwitchWorkspace,
    TokenView,
    token_json,
)
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import own_sessions, tokens
from session_svc.operations import sign_in as operations
from session_svc.operations.deps import Deps

_JSON = {"Content-Type": "application/json"}


class SessionPath(BaseModel):
    """A session in the path."""

    id: UUID


def routes(deps: Deps, edge: Edge, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = RefusingRoutes("auth", deps.public_url)

    @r.post(
        "/api/v1/auth/sign-in",
        access=Access.public(),
        summary="Sign in with email address and password",
        problems=[(401, "wrong_credentials"), (403, "user_disabled"), (429, "too_many_attempts")],
        max_body_bytes=4096,
    )
    async def sign_in(body: SignIn, request: web.Request) -> Reply:
        """Makes a session of seven days, its cookie, and a first JWT of one hour."""
        now = clock.now()
        signed_in = await operations.sign_in(
            deps,
            email=body.email,
            password=body.password.get_secret_value(),
            workspace_id=body.workspace_id,
            previous_cookie=session_cookie(request),
            device_cookie=device_cookie(request),
            place=edge.place(request),
            now=now,
        )
        minted = await tokens.mint_for(deps, signed_in.session, clock.now())
        view = SignedInView(
            session=SessionView.of(signed_in.session, operations.Who(signed_in.user, signed_in.memberships)),
            token=TokenView.of(minted),
        )
        headers = CIMultiDict(edge.set_cookie(signed_in.cookie))
        headers.add("Set-Cookie", edge.set_device_cookie(signed_in.device_cookie))
        return Reply(view, 200, headers)

    @r.get(
        "/api/v1/auth/token",
        access=Access.public(),
        summary="A new JWT for the session, without extending it",
        problems=[(401, "session_expired"), (401, "session_revoked"), (401, "token_missing")],
        quiet=True,
    )
    async def get_token(request: web.Request) -> TokenView | web.Response:
        """Reads one row and writes nothing; `extension_due` says that a POST would extend the session."""
        return _answer(await tokens.mint(deps, session_cookie(request), clock.now(), extend=False))

    @r.post(
        "/api/v1/auth/token",
        access=Access.public(),
        summary="A new JWT for the session, which lives on for having been used",
        problems=[(401, "session_expired"), (401, "session_revoked"), (401, "token_missing")],
        quiet=True,
    )
    async def post_token(request: web.Request) -> TokenView | web.Response:
        """As GET; a session whose last extension is older than 24 h gets its full seven days again."""
        return _answer(await tokens.mint(deps, session_cookie(request), clock.now(), extend=True))

    @r.get(
        "/api/v1/auth/session", access=Access.public(), summary="Who is signed in", problems=[(401, "session_revoked")]
    )
    async def session(request: web.Request) -> SessionView:
        """Return the session behind the cookie, its user and their workspaces."""
        live = await tokens.live_session(deps, session_cookie(request), clock.now())
        return SessionView.of(live, await operations.who(deps, live))

    @r.post("/api/v1/auth/sign-out", access=Access.public(), summary="Sign out, here or everywhere", status=204)
    async def sign_out(request: web.Request, body: SignOut | None) -> None:
        """Every tab of the browser is signed out with it. The cookie stays, so that the next answer can say why."""
        everywhere = body is not None and body.everywhere
        cookie = session_cookie(request)
        await operations.sign_out(deps, cookie, everywhere=everywhere, place=edge.place(request), now=clock.now())

    @r.get("/api/v1/auth/sessions", access=Access.user(), summary="Where the user is signed in")
    async def sessions(principal: Principal) -> OwnSessionsView:
        """Live sessions, newest use first, and when support acted as the user in the last 90 days."""
        own = await own_sessions.listing(deps, principal.user_id, clock.now())
        return OwnSessionsView(
            items=[
                OwnSession(
                    session_id=one.session_id,
                    device=one.device,
                    address=one.address,
                    created_at=one.created_at,
                    last_seen_at=one.extended_at,
                    expires_at=one.expires_at,
                    current=one.session_id == principal.session_id,
                    support=one.impersonated,
                )
                for one in own.live
            ],
            support_access=[SupportAccess.of(one) for one in own.support_access],
        )

    @r.delete(
        "/api/v1/auth/sessions/{id}",
        access=Access.user(refuse_act=True),
        summary="End one of the user's sessions",
        status=204,
        problems=[404],
    )
    async def end_session(path: SessionPath, principal: Principal, request: web.Request) -> None:
        """On this or another device; also one in which support acts as the user."""
        await own_sessions.end(deps, edge.caller(principal, request), path.id, clock.now())

    @r.delete(
        "/api/v1/auth/sessions", access=Access.user(refuse_act=True), summary="End all other sessions of the user"
    )
    async def end_others(principal: Principal, request: web.Request) -> Ended:
        """The present one stays."""
        count = await own_sessions.end_others(deps, edge.caller(principal, request), clock.now())
        return Ended(sessions_ended=count)

    @r.post(
        "/api/v1/auth/workspace",
        access=Access.user(refuse_act=True),
        summary="Go on in another workspace",
        problems=[(403, "not_a_member")],
    )
    async def switch(body: SwitchWorkspace, principal: Principal, request: web.Request) -> SignedInView:
        """Return the session and its cookie stay; the JWT in the answer, and later ones, are for that workspace."""
        now = clock.now()
        moved = await own_sessions.switch_workspace(deps, edge.caller(principal, request), body.workspace_id, now)
        view = SessionView.of(moved, await operations.who(deps, moved))
        return SignedInView(session=view, token=TokenView.of(await tokens.mint_for(deps, moved, now)))

    return r


def _answer(minted: tokens.Minted) -> web.Response:
    return web.Response(body=token_json(minted), headers=_JSON)
