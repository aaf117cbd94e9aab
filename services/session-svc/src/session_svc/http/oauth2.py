"""OAuth 2.0 for services: client credentials (RFC 6749), introspection (RFC 7662), revocation (RFC 7009)."""

import base64
from urllib.parse import unquote_plus

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from common.runtime.clock import Clock
from common.web import Access, Form, Problem, Reply, Routes
from session_svc.core.clients import ServiceClient
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import introspection, tokens
from session_svc.operations.deps import Deps

INTROSPECT = "tokens:introspect"
REVOKE = "sessions:revoke"
_NUL = "\x00"  # PostgreSQL has no text with it


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


class TokenInQuestion(ClientAuth):
    """A request about a JWT. The hint is not needed: there is one kind of token here."""

    token: SecretStr = Field(min_length=1, max_length=8192)
    token_type_hint: str | None = Field(default=None, max_length=100)


class Introspection(BaseModel):
    """What is known of a token (RFC 7662, section 2.2). Of one that is not active, nothing else is said."""

    model_config = ConfigDict(extra="allow")

    active: bool
    token_type: str | None = None


def routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints."""
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
        """Return a token for a client that authenticates by HTTP Basic or in the body, never by both."""
        client_id, secret = credentials(request, body)
        if body.grant_type != "client_credentials":
            raise Problem(400, "unsupported_grant_type", detail="the grant type must be client_credentials")
        token, scopes, life_s = await tokens.mint_for_service(deps, client_id, secret, body.scope, clock.now())
        return AccessToken(access_token=token, expires_in=life_s, scope=" ".join(scopes))

    @r.post(
        "/oauth2/introspect",
        access=Access.public(),
        summary="Whether a JWT is good at this moment (RFC 7662)",
        problems=[(401, "invalid_client"), (403, "insufficient_scope")],
        max_body_bytes=16_384,
        oauth_errors=True,
    )
    async def introspect(body: Form[TokenInQuestion], request: web.Request) -> Introspection:
        """Asks the database, so it knows of an end before any event has told of it. Needs `tokens:introspect`."""
        client_id, secret = credentials(request, body)
        must_have(await tokens.authenticated_client(deps, client_id, secret), INTROSPECT)
        claims = await introspection.introspect(deps, body.token.get_secret_value(), clock.now())
        if claims is None:
            return Introspection(active=False)
        return Introspection(active=True, token_type="Bearer", **claims)  # noqa: S106  RFC 6750's name

    @r.post(
        "/oauth2/revoke",
        access=Access.public(),
        summary="End the session of a JWT (RFC 7009)",
        problems=[(401, "invalid_client"), (403, "insufficient_scope"), (400, "unsupported_token_type")],
        max_body_bytes=16_384,
        oauth_errors=True,
    )
    async def revoke(body: Form[TokenInQuestion], request: web.Request) -> Reply:
        """Every JWT of the session is refused everywhere. One that is no token of ours is answered like success.

        Others' tokens need `sessions:revoke`; about its own a client needs no scope (RFC 7009, section 2.1).
        """
        client_id, secret = credentials(request, body)
        token = body.token.get_secret_value()
        client = await tokens.authenticated_client(deps, client_id, secret)
        if introspection.client_of(deps, token, clock.now()) != client.client_id:
            must_have(client, REVOKE)
        done = await introspection.revoke(deps, token, client.client_id, clock.now())
        if not done:
            raise Problem(
                400,
                "unsupported_token_type",
                detail="a service's JWT cannot be taken back; it lives 15 minutes",
                fix="Replace the client's secret, or disable the client.",
            )
        return Reply(None, 200)

    return r


def must_have(client: ServiceClient, scope: str) -> None:
    """Refuse a client without the scope. Raises Problem."""
    if scope not in client.scopes:
        raise Problem(403, "insufficient_scope", detail=f"the client does not have the scope {scope}")


def credentials(request: web.Request, body: ClientAuth) -> tuple[str | None, str | None]:
    """Return the client's id and secret (RFC 6749, section 2.3.1: form-encoded inside of Basic).

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
    except ValueError:  # not base64, not ASCII, not UTF-8
        text = ""
    name, colon, secret = (unquote_plus(part) for part in text.partition(":"))
    if scheme.lower() != "basic" or not colon or _NUL in name:
        raise Problem(
            401,
            "invalid_client",
            detail="the Authorization header is not HTTP Basic",
            headers={"WWW-Authenticate": 'Basic realm="wevion"'},
        )
    return name, secret
