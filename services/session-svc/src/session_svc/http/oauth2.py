"""OAuth 2.0 for services: client credentials (RFC 6749), introspection (RFC 7662), revocation (RFC 7009)."""

import base64
import binascii
from urllib.parse import unquote_plus

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from common.runtime.clock import Clock
from common.web import Access, Form, Problem, Routes
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import tokens
from session_svc.operations.deps import Deps


class ClientAuth(BaseModel):
    """Parameters of a request that a client makes; unknown ones are ignored (RFC 6749, section 3.2)."""

    model_config = ConfigDict(extra="ignore")

    client_id: str | None = Field(default=None, max_length=200)
    client_secret: SecretStr | None = Field(default=None, max_length=512)


class TokenRequest(ClientAuth):
    """A request for a service's JWT."""

    grant_type: str = Field(max_length=100)
    scope: str | None = Field(default=None, max_length=2000)


class AccessToken(BaseModel):
    """A service's JWT (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  RFC 6750's name
    expires_in: int
    scope: str


def routes(deps: Deps, clock: Clock) -> Routes:
    """The endpoints."""
    r = RefusingRoutes("oauth2", deps.public_url)

    @r.post(
        "/oauth2/token",
        access=Access.public(),
        summary="A JWT for a service (client credentials)",
        problems=[(401, "invalid_client"), (400, "unsupported_grant_type"), (400, "invalid_scope")],
        max_body_bytes=8192,
        oauth_errors=True,
    )
    async def token(body: Form[TokenRequest], request: web.Request) -> AccessToken:
        """The client authenticates by HTTP Basic or in the body, never both."""
        client_id, secret = credentials(request, body)
        if body.grant_type != "client_credentials":
            raise Problem(400, "unsupported_grant_type", detail="the grant type must be client_credentials")
        token, scopes, life_s = await tokens.mint_for_service(deps, client_id, secret, body.scope, clock.now())
        return AccessToken(access_token=token, expires_in=life_s, scope=" ".join(scopes))

    return r


def credentials(request: web.Request, body: ClientAuth) -> tuple[str | None, str | None]:
    """The client's id and secret (RFC 6749, section 2.3.1: form-encoded inside of Basic).

    Raises:
        Problem: both ways were used, or the header cannot be read.

    """
    header = request.headers.get("Authorization")
    if header is None:
        return body.client_id, body.client_secret.get_secret_value() if body.client_secret else None
    if body.client_secret is not None:
        raise Problem(400, "invalid_request", detail="authenticate by header or in the body, not both")
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    name, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise Problem(
            401,
            "invalid_client",
            detail="the Authorization header is not HTTP Basic",
            headers={"WWW-Authenticate": 'Basic realm="wevion"'},
        )
    return unquote_plus(name), unquote_plus(secret)
