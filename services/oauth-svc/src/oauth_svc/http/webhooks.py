"""`POST /webhooks/{provider}`: signed by the platform, verified on the raw bytes, answered fast."""

from aiohttp import web
from pydantic import BaseModel, Field

from common.web import Access, Problem, Reply, Routes
from oauth_svc.core.errors import UnknownProviderError
from oauth_svc.operations import webhooks
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import WebhookRefusedError

MAX_BYTES = 65_536
SECURITY_EVENT = "application/secevent+jwt"


class ProviderPath(BaseModel):
    """Which provider."""

    provider: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")


class Taken(BaseModel):
    """The message was taken. How many connections it ended is nobody's business outside.

    `url` and `confirmation_code` are what Meta shows to a person who asks for the deletion of their data.
    """

    received: bool = True
    url: str | None = None
    confirmation_code: str | None = None


class EventRefused(BaseModel):
    """Why a security event token is not believed, by RFC 8935 section 2.3."""

    err: str
    description: str


def routes(deps: Deps) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("webhooks")

    @r.post(
        "/webhooks/{provider}",
        access=Access.public(),
        summary="A platform's signal",
        problems=(404, (403, "webhook_refused")),
        max_body_bytes=MAX_BYTES,
    )
    async def webhook(path: ProviderPath, body: bytes, request: web.Request) -> Taken | Reply:
        """A repeat is answered like the first and changes nothing."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            received = await webhooks.receive(deps, path.provider, body, headers)
        except WebhookRefusedError as refused:
            if refused.err is not None:  # a security event token: RFC 8935 section 2.4
                said = EventRefused(err=refused.err, description=str(refused))
                return Reply(said, status=400, headers={"Content-Language": "en"})
            raise Problem(403, "webhook_refused", detail=f"The message is not believed: {refused}.") from refused
        except UnknownProviderError as unknown:
            raise Problem(404, unknown.code, detail=str(unknown)) from unknown
        if request.content_type == SECURITY_EVENT:
            return Reply(status=202)  # RFC 8935 section 2.2: nothing else is said
        if received.deletion is None:
            return Taken()
        url = f"{deps.public_url}/webhooks/{path.provider}/deletions/{received.deletion}"
        return Taken(url=url, confirmation_code=received.deletion)

    return r
