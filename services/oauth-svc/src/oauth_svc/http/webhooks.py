"""`POST /webhooks/{provider}`: signed by the platform, verified on the raw bytes, answered fast."""

import hashlib

from aiohttp import web
from pydantic import BaseModel, Field

from common.web import Access, Problem, Routes
from oauth_svc.core.errors import UnknownProviderError
from oauth_svc.operations import webhooks
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import WebhookRefusedError

MAX_BYTES = 65_536


class ProviderPath(BaseModel):
    """Which provider."""

    provider: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")


class Taken(BaseModel):
    """The message was taken. How many connections it ended is nobody's business outside.

    `url` and `confirmation_code` are what Meta shows to a person who asks for the deletion of their data.
    """

    received: bool = True
    url: str
    confirmation_code: str


def routes(deps: Deps) -> Routes:
    """The endpoints of this file."""
    r = Routes("webhooks")

    @r.post(
        "/webhooks/{provider}",
        access=Access.public(),
        summary="A platform's signal",
        problems=(404, (403, "webhook_refused")),
        max_body_bytes=MAX_BYTES,
    )
    async def webhook(path: ProviderPath, body: bytes, request: web.Request) -> Taken:
        """A repeat is answered like the first and changes nothing."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            await webhooks.receive(deps, path.provider, body, headers)
        except WebhookRefusedError as refused:
            raise Problem(403, "webhook_refused", detail=f"The message is not believed: {refused}.") from refused
        except UnknownProviderError as unknown:
            raise Problem(404, unknown.code, detail=str(unknown)) from unknown
        code = hashlib.sha256(body).hexdigest()[:20]
        return Taken(url=f"{deps.public_url}/connections", confirmation_code=code)

    return r
