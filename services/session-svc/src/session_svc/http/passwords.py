"""`/api/v1/auth/password`: changing it, and setting a new one by a mailed link."""

from aiohttp import web

from common.runtime.clock import Clock
from common.web import Access, Principal, Reply, Routes
from session_svc.http.edge import Edge
from session_svc.http.models import ChangePassword, ConfirmReset, RequestReset
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import passwords as operations
from session_svc.operations.deps import Deps


def routes(deps: Deps, edge: Edge, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = RefusingRoutes("passwords", deps.public_url)

    @r.post(
        "/api/v1/auth/password",
        access=Access.user(refuse_act=True),
        summary="Change the password",
        status=204,
        problems=[(401, "wrong_credentials"), (429, "too_many_attempts")],
        max_body_bytes=4096,
    )
    async def change(body: ChangePassword, principal: Principal, request: web.Request) -> Reply:
        """Every other session ends. This one goes on under the cookie in the answer."""
        cookie = await operations.change_password(
            deps,
            edge.caller(principal, request),
            current=body.current_password.get_secret_value(),
            new=body.new_password.get_secret_value(),
            now=clock.now(),
        )
        return Reply(None, 204, edge.set_cookie(cookie))

    @r.post(
        "/api/v1/auth/password-reset",
        access=Access.public(),
        summary="Have a reset link mailed",
        status=202,
        problems=[(429, "too_many_attempts")],
        max_body_bytes=4096,
    )
    async def request_reset(body: RequestReset, request: web.Request) -> Reply:
        """The answer is the same whether or not anybody has this address."""
        await operations.request_reset(deps, email=body.email, place=edge.place(request), now=clock.now())
        return Reply(None, 202)

    @r.post(
        "/api/v1/auth/password-reset/confirm",
        access=Access.public(),
        summary="Set a new password by a mailed link",
        status=204,
        problems=[(410, "reset_link_used"), (410, "reset_link_expired"), (410, "reset_link_unknown")],
        max_body_bytes=4096,
    )
    async def confirm(body: ConfirmReset, request: web.Request) -> Reply:
        """Set a new password by a link, which works once, for 30 minutes; every session of the user ends."""
        device = await operations.confirm_reset(
            deps,
            secret=body.token.get_secret_value(),
            new=body.new_password.get_secret_value(),
            place=edge.place(request),
            now=clock.now(),
        )
        return Reply(None, 204, {"Set-Cookie": edge.set_device_cookie(device)})

    return r
