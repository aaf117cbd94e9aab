"""`/.well-known`: what verifiers and OAuth clients need to know."""

import json

from aiohttp import web

from common.runtime.clock import Clock
from common.web import Access, Routes
from session_svc.core.clients import SCOPES
from session_svc.core.jwt import ALGORITHM
from session_svc.operations.deps import Deps

_METADATA_MAX_AGE_S = 3600


def routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = Routes("well-known")
    keys_header = f"public, max-age={int(deps.keys.schedule.jwks_max_age.total_seconds())}"

    @r.get("/.well-known/jwks.json", access=Access.public(), summary="The public signing keys (RFC 7517)", quiet=True)
    async def jwks() -> web.Response:
        """Keys that sign, that will soon, and that did until lately. Keep them no longer than Cache-Control says."""
        return _json(deps.keys.jwks(clock.now()), keys_header, "application/jwk-set+json")

    @r.get("/.well-known/oauth-authorization-server", access=Access.public(), summary="Metadata (RFC 8414)", quiet=True)
    async def metadata() -> web.Response:
        """Return where what is, and what is supported."""
        issuer = deps.issuer.rstrip("/")
        methods = ["client_secret_basic", "client_secret_post"]
        document = {
            "issuer": deps.issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "token_endpoint": f"{issuer}/oauth2/token",
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint": f"{issuer}/oauth2/introspect",
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": f"{issuer}/oauth2/revoke",
            "revocation_endpoint_auth_methods_supported": methods,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": list(SCOPES),
            "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
        }
        return _json(document, f"public, max-age={_METADATA_MAX_AGE_S}")

    return r


def _json(document: object, cache: str, content_type: str = "application/json") -> web.Response:
    headers = {"Content-Type": content_type, "Cache-Control": cache, "Access-Control-Allow-Origin": "*"}
    return web.Response(body=json.dumps(document).encode(), headers=headers)
