"""The verifier in front of an aiohttp application."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from wevion_tokens.auth.access import Access, Principal
from wevion_tokens.callers.asgi import PROBES
from wevion_tokens.callers.live import LiveVerifier
from wevion_tokens.problems import Problem

PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)
"""`request[PRINCIPAL]` is the caller."""


def verified(
    app: web.Application, verifier: LiveVerifier, access: Access | None = None, public: Collection[str] = PROBES
) -> web.Application:
    """Return the application, with nobody let through whom `access` does not admit.

    Args:
        app: not started yet; the verifier starts and stops with it.
        verifier: a live verifier, not started.
        access: what every caller must be; by default a signed-in person.
        public: paths that anybody may call.

    Returns:
        The same application.

    """
    app.cleanup_ctx.append(_running(verifier))
    app.middlewares.insert(0, _middleware(verifier, access or Access.user(), frozenset(public)))
    return app


def _running(verifier: LiveVerifier) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        async with verifier:
            yield

    return run


def _middleware(verifier: LiveVerifier, access: Access, public: frozenset[str]) -> Middleware:
    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in public:
                request[PRINCIPAL] = await verifier.admit(request.headers.getall("Authorization", ()), access)
            return await _called(handler, request)
        except Problem as problem:
            return problem.response()

    return admit


async def _called(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], request: web.Request
) -> web.StreamResponse:
    return await handler(request)
