"""A route as an aiohttp handler. Everything that can be decided is decided when it is built: this is the hot path."""

import asyncio
import json
import math
from asyncio import current_task
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from common.runtime.clock import monotonic
from common.runtime.errors import RetryableError
from common.telemetry import logs, tracing
from common.telemetry.logs import get_logger
from common.telemetry.redaction import redact_text
from common.telemetry.sink import SINK
from common.web import binding
from common.web.metrics import REQUEST_DURATION
from common.web.problems import Problem, from_http_exception
from common.web.responses import secured, to_response
from common.web.routes import Route
from common.web.watch import Watch
from wevion_tokens.auth.access import Access, Principal

Authenticate = Callable[[web.Request, Access], Awaitable[Principal]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PRINCIPAL = web.RequestKey("principal", Principal)
"""Where an endpoint of the bare request finds who calls."""

_REFUSAL = 400
_ERROR = 500
_GONE = 499  # in logs and metrics only: the client left before the answer
_LONGEST_LOGGED_PATH = 200
_UNKNOWN_OUTCOME = "It took too long; it may or may not have been done."
_log = get_logger(__name__)


def build(
    route: Route,
    *,
    authenticate: Authenticate | None,
    max_body_bytes: int,
    watch: Watch,
    access_log: bool,
    stopping: asyncio.Event,
) -> Handler:
    """Return the handler for a route.

    Args:
        route: what it serves.
        authenticate: finds who calls; None where no route needs to know.
        max_body_bytes: the limit of a body, where the route has none of its own.
        watch: is told which requests run.
        access_log: whether requests are logged.
        stopping: once it is set, each answer asks its client to make a new connection, which leads elsewhere.

    Raises:
        TypeError: the route needs an authenticator and there is none.

    """
    answer = _answer(route, authenticate, max_body_bytes)
    limited = not route.raw
    record = _Recorder(route, access_log=access_log)
    refuse = _oauth_refusal if route.oauth_errors else _refusal

    async def endpoint(request: web.Request) -> web.StreamResponse:
        started = monotonic()
        headers = request.headers
        trace = tracing.begin(tracing.parse(headers.get("traceparent"), headers.get("tracestate")))
        task = current_task()
        assert task is not None  # noqa: S101  aiohttp runs each request in a task
        watch.enter(task, started if limited else math.inf)
        status = _GONE
        try:
            try:
                response = await answer(request)
            except Problem as problem:
                response = refuse(problem)
            except web.HTTPException as error:
                if error.status < _REFUSAL:  # a redirect; aiohttp wants it raised, not returned
                    secured(error)
                    status = error.status
                    raise
                response = refuse(from_http_exception(error))
            except asyncio.CancelledError:
                if not watch.timed_out(task):
                    raise
                response = refuse(_timed_out(route))
            except ConnectionResetError:
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, a stranger must not see it
                response = refuse(_unexpected(error, route))
            status = response.status
            if stopping.is_set():
                response.force_close()
            return response
        finally:
            watch.leave(task)
            record(request, status, monotonic() - started, trace.trace_id)

    return endpoint


Call = Callable[[web.Request, Principal | None], Awaitable[web.StreamResponse]]
Arguments = Callable[[web.Request, Principal | None], dict[str, Any]]


def _answer(route: Route, authenticate: Authenticate | None, max_body_bytes: int) -> Handler:
    access = route.access
    call = _raw_call(route) if route.raw else _typed_call(route, max_body_bytes)
    if access.is_public:
        return lambda request: call(request, None)
    if authenticate is None:
        raise TypeError(f"{route.method} {route.path} needs a caller, and the app has no authenticator")
    identify = authenticate

    async def answer(request: web.Request) -> web.StreamResponse:
        principal = request[PRINCIPAL] = await identify(request, access)
        return await call(request, principal)

    return answer


def _raw_call(route: Route) -> Call:
    handler = route.handler

    async def call(request: web.Request, _: Principal | None) -> web.StreamResponse:
        return secured(await handler(request))

    return call


def _typed_call(route: Route, max_body_bytes: int) -> Call:
    handler, success = route.handler, route.status
    arguments = _arguments(route)
    if route.body is None:

        async def call(request: web.Request, principal: Principal | None) -> web.StreamResponse:
            return to_response(await handler(**arguments(request, principal)), success)

        return call
    read = binding.bind_body(route.body, route.max_body_bytes or max_body_bytes)

    async def call_with_body(request: web.Request, principal: Principal | None) -> web.StreamResponse:
        found = arguments(request, principal)
        found["body"] = await read(request)
        return to_response(await handler(**found), success)

    return call_with_body


def _arguments(route: Route) -> Arguments:
    """Return what the handler asks for by name, except the body."""
    wants = route.wants
    path = binding.bind_path(route.path_model) if route.path_model else None
    query = binding.bind_query(route.query_model) if route.query_model else None
    wants_principal, wants_request = "principal" in wants, "request" in wants
    no_query = query is None and not wants_request

    def arguments(request: web.Request, principal: Principal | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if wants_principal:
            found["principal"] = principal
        if wants_request:
            found["request"] = request
        if path is not None:
            found["path"] = path(request)
        if query is not None:
            found["query"] = query(request)
        elif no_query:
            binding.refuse_query(request)
        return found

    return arguments


class _Recorder:
    """One metric and one log line per request, by route template. What is constant is made once per status."""

    def __init__(self, route: Route, *, access_log: bool) -> None:
        self._route = route
        self._logged = access_log
        self._constant = "{" not in route.path
        self._known: dict[tuple[str, int], tuple[Callable[[float], None], Callable[[str], str] | None]] = {}

    def __call__(self, request: web.Request, status: int, elapsed_s: float, trace_id: str) -> None:
        method = request.method if request.method in _KNOWN_METHODS else "other"
        known = self._known.get((method, status))
        if known is None:
            known = self._known[(method, status)] = self._make(method, status)
        observe, line = known
        observe(elapsed_s)
        if line is not None:
            members = f', "duration_ms": {elapsed_s * 1000:.3f}, "trace_id": "{trace_id}"'
            if not self._constant:
                members += f', "path": {json.dumps(redact_text(request.rel_url.raw_path[:_LONGEST_LOGGED_PATH]))}'
            SINK.write_soon(line(members))

    def _make(self, method: str, status: int) -> tuple[Callable[[float], None], Callable[[str], str] | None]:
        observe = REQUEST_DURATION.labels(method, self._route.path, str(status)).observe
        if not self._logged or (self._route.quiet and status < _ERROR):
            return observe, None
        fields = {"method": method, "route": self._route.path, "status": status}
        return observe, logs.line_format("http_request", fields)


_KNOWN_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def _refusal(problem: Problem) -> web.StreamResponse:
    return secured(problem.response())


def _oauth_refusal(problem: Problem) -> web.StreamResponse:
    """RFC 6749, section 5.2: `error` is from a closed list. The problem's members stay, for people."""
    error = problem.code if problem.code in _OAUTH_ERRORS else _OAUTH_BY_STATUS.get(problem.status, "invalid_request")
    problem.extra = {"error": error, "error_description": problem.detail or problem.title} | problem.extra
    response = problem.response()
    response.headers["Content-Type"] = "application/json"
    response.headers["Pragma"] = "no-cache"
    return secured(response)


_OAUTH_ERRORS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_token",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_token_type",
    }
)
_OAUTH_BY_STATUS = {401: "invalid_client", 500: "server_error", 503: "temporarily_unavailable", 504: "server_error"}


def _timed_out(route: Route) -> Problem:
    _log.error("request_timed_out", method=route.method, route=route.path)
    return Problem(504, "timeout", detail=_UNKNOWN_OUTCOME)


def _unexpected(error: Exception, route: Route) -> Problem:
    """The detail stays in the log, under the trace id that the answer names."""
    where = {"method": route.method, "route": route.path}
    if isinstance(error, RetryableError):
        _log.warning("request_failed_for_now", error_type=type(error).__name__, error=str(error), **where)
        return Problem(
            503,
            "temporarily_unavailable",
            detail="Something this needs is away; try again.",
            headers={"Retry-After": "1"},
        )
    if isinstance(error, TimeoutError):
        _log.error("request_timed_out", exc_info=error, **where)
        return Problem(504, "timeout", detail=_UNKNOWN_OUTCOME)
    _log.error("request_failed", exc_info=error, **where)
    return Problem(500, "internal_error", "Something went wrong on our side", "It is logged under the trace id.")
