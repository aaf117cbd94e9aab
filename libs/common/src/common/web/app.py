"""The aiohttp application of a service."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aiohttp import hdrs, web
from yarl import URL

from common.web import endpoint, openapi
from common.web.endpoint import Authenticate
from common.web.health import Health, ReadyCheck
from common.web.metrics import REQUESTS_IN_FLIGHT
from common.web.problems import Problem
from common.web.routes import Route, Routes
from common.web.watch import Watch
from wevion_tokens.auth.access import Access

HEALTH = web.AppKey("health", Health)
"""Where a server finds what to tell when it stops."""

MAX_BODY_BYTES = 64 * 1024
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8_190
TIMEOUT_S = 30.0
_KEEPALIVE_S = 75.0  # longer than the usual proxy's, so that the proxy closes first and no request meets a closed door
_LINGER_S = 1.0  # how long an unread body is drained after a refusal

_FALLBACK = Route("*", "/{unknown:.*}", lambda _: _unreachable(), access=Access.public(), tag="", raw=True)


def create_app(
    routes: Routes | Iterable[Routes],
    *,
    authenticate: Authenticate | None = None,
    title: str,
    version: str,
    ready_checks: Mapping[str, ReadyCheck] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    timeout_s: float | None = TIMEOUT_S,
    access_log: bool = True,
    operators: bool = True,
) -> web.Application:
    """Build the application of a service. Run it with `common.web.serve`.

    There are no middlewares: what an endpoint needs is built into its handler.

    Args:
        routes: the tables of endpoints.
        authenticate: finds who calls, for endpoints that are not public.
        title: of the OpenAPI document.
        version: of the OpenAPI document.
        ready_checks: what `/readyz` asks.
        max_body_bytes: the limit of a body, where an endpoint has none of its own.
        timeout_s: the limit of a request; raw routes have none.
        access_log: whether requests are logged.
        operators: whether /readyz, /metrics and /openapi.json are served; /livez always is.

    Returns:
        The application.

    Raises:
        TypeError, ValueError: the table cannot be served.

    """
    tables = [routes] if isinstance(routes, Routes) else list(routes)
    health = Health(ready_checks or {})
    table = [route for routes_ in tables for route in routes_]
    document = Routes("openapi")
    document.raw("GET", "/openapi.json", _document(table, title, version), quiet=True)
    app = web.Application(
        client_max_size=max_body_bytes,
        handler_args={
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": _KEEPALIVE_S,
            "lingering_time": _LINGER_S,
            "max_field_size": MAX_HEADER_BYTES,
            "max_headers": MAX_HEADERS,
            "max_line_size": MAX_HEADER_BYTES,
        },
    )
    app[HEALTH] = health
    watch = Watch(timeout_s)
    app.cleanup_ctx.append(watch.run)
    REQUESTS_IN_FLIGHT.set_function(lambda: len(watch))

    def add(route: Route) -> None:
        handler = endpoint.build(
            route,
            authenticate=authenticate,
            max_body_bytes=max_body_bytes,
            watch=watch,
            access_log=access_log,
            stopping=health.stopping,
        )
        if route.method == hdrs.METH_GET:
            app.router.add_get(route.path, handler, allow_head=route.head)
        else:
            app.router.add_route(route.method, route.path, handler)

    served = [*health.routes(operators=operators), *(document if operators else ()), *table]
    for route in served:
        add(route)
    for path, methods in _methods(served).items():
        if "{" not in path and hdrs.METH_ANY not in methods:
            # /tokens/diagnose is a path of its own, though /tokens/{id} would fit it, too.
            add(replace(_FALLBACK, path=path, handler=_wrong_method(methods)))
    add(replace(_FALLBACK, handler=_not_found(app)))
    return app


def _methods(table: Iterable[Route]) -> dict[str, set[str]]:
    """Return what each path answers to."""
    found: dict[str, set[str]] = {}
    for route in table:
        methods = found.setdefault(route.path, set())
        methods.add(route.method)
        if route.method == hdrs.METH_GET and route.head:
            methods.add(hdrs.METH_HEAD)
    return found


def _method_not_allowed(allowed: Iterable[str]) -> Problem:
    allow = ", ".join(sorted(allowed))
    return Problem(405, "method_not_allowed", detail=f"this path answers to {allow}", headers={"Allow": allow})


def _wrong_method(methods: Iterable[str]) -> endpoint.Handler:
    async def refuse(_: web.Request) -> web.StreamResponse:
        raise _method_not_allowed(methods)

    return refuse


def _document(table: list[Route], title: str, version: str) -> endpoint.Handler:
    body = json.dumps(openapi.build(table, title=title, version=version)).encode()

    async def document(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    return document


def _not_found(app: web.Application) -> endpoint.Handler:
    """Return what answers when no route matched: 405 with `Allow`, or the way without a slash at the end, or 404."""

    async def methods_of(request: web.Request) -> set[str]:
        allowed: set[str] = set()
        for resource in app.router.resources():
            _, methods = await resource.resolve(request)
            allowed |= methods
        return allowed - {hdrs.METH_ANY}

    async def refuse(request: web.Request) -> web.StreamResponse:
        if allowed := await methods_of(request):
            raise _method_not_allowed(allowed)
        path = request.rel_url.raw_path
        bare = path.rstrip("/")
        if bare != path and bare and not bare.startswith("//"):
            target = URL.build(path=bare, query_string=request.rel_url.raw_query_string, encoded=True)
            if await methods_of(request.clone(rel_url=target)):
                return web.Response(status=308, headers={"Location": str(target)})
        raise Problem(404, "not_found", "There is nothing here")

    return refuse


async def _unreachable() -> web.StreamResponse:
    raise RuntimeError("replaced when the app is built")
