"""What a request says about where it comes from, and the session cookie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from aiohttp import web

from common import edge
from common.edge import DEVICE_COOKIE, AmbiguousCookieError, session_cookie_name
from common.web import Principal
from session_svc.core import device
from session_svc.core.people import Role
from session_svc.operations.deps import Caller
from session_svc.operations.sign_in import Place

MAX_DEVICE_COOKIE_LENGTH = 100
COOKIE_MAX_AGE_S = 400 * 24 * 60 * 60
"""Browsers allow no more (RFC 6265bis, section 5.5). Longer than any session, on purpose: a browser that still shows
the cookie of an ended session can be told why it ended. Whether a session lives is never decided by the cookie."""


@dataclass(frozen=True, slots=True)
class Edge:
    """How this service sees its callers.

    Attributes:
        secure: whether browsers may send the cookie over TLS only; false on loopback alone.
        trusted: proxies whose `X-Forwarded-For` is believed.

    """

    secure: bool
    trusted: Sequence[edge.Network] = field(default=())

    def place(self, request: web.Request) -> Place:
        """Device and address of the browser."""
        # Only the gateways are asked: each says one address, the browser's, in place of whatever the browser claimed.
        hops = int(edge.within(request.remote or "", self.trusted))
        address = edge.client_address(request.remote, request.headers.getall("X-Forwarded-For", []), hops)
        return Place(device=device.describe(request.headers.get("User-Agent")), address=address)

    def set_cookie(self, value: str) -> dict[str, str]:
        """Return the header that hands the browser its session."""
        secure = "; Secure" if self.secure else ""
        name = session_cookie_name(secure=self.secure)
        cookie = f"{name}={value}; Path=/; Max-Age={COOKIE_MAX_AGE_S}; HttpOnly; SameSite=Lax{secure}"
        return {"Set-Cookie": cookie}

    def set_device_cookie(self, value: str) -> str:
        """Return the `Set-Cookie` value that makes this browser known. It is no proof of who somebody is."""
        secure = "; Secure" if self.secure else ""
        return (
            f"{DEVICE_COOKIE}={value}; Path=/api/v1/auth; Max-Age={COOKIE_MAX_AGE_S}; HttpOnly; SameSite=Strict{secure}"
        )

    def caller(self, principal: Principal, request: web.Request) -> Caller:
        """Return the verified user who calls."""
        if principal.session_id is None or principal.workspace_id is None:
            raise ValueError("only a user's JWT has a session and a workspace")
        return Caller(
            user_id=principal.user_id,
            session_id=principal.session_id,
            workspace_id=principal.workspace_id,
            role=Role(principal.role or Role.MEMBER),
            actor_user_id=UUID(principal.act.subject) if principal.act else None,
            address=self.place(request).address,
        )


def session_cookie(request: web.Request) -> str | None:
    """Return the session cookie's value, if the browser sent one that could be ours.

    Of several, none: the gateway refuses them with a way out, and whoever calls here directly gets the plain refusal.
    """
    try:
        value = edge.session_cookie(request.headers.getall("Cookie", ()))
    except AmbiguousCookieError:
        return None
    return value if value and value.isascii() else None


def device_cookie(request: web.Request) -> str | None:
    """Return the device cookie's value, if the browser sent one that could be ours."""
    for name, value in edge.read_cookies(request.headers.getall("Cookie", ())):
        if name == DEVICE_COOKIE and value.isascii() and len(value) <= MAX_DEVICE_COOKIE_LENGTH:
            return value
    return None
