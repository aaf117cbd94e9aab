"""The table of a service's endpoints. A handler's parameters are found by name and checked once, at start."""

import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, Union

from aiohttp import web
from pydantic import BaseModel

from common.web.problems import Problem
from common.web.responses import Reply
from wevion_tokens.auth.access import Access, Principal

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


class FormMarker:
    """Marks a body as `application/x-www-form-urlencoded`."""


Form = Annotated[T, FormMarker()]
"""`body: Form[TokenRequest]`: the body is a form, as OAuth's endpoints and some webhooks have it."""

Documented = int | tuple[int, str] | Problem
"""A refusal to show in the OpenAPI document: a status, a status with its code, or the problem itself."""

_NAMES = frozenset({"path", "query", "body", "principal", "request"})


@dataclass(frozen=True, slots=True)
class Body:
    """How a request's body is read."""

    model: type[BaseModel] | None
    """None: the handler gets the bytes as they came (for signed webhooks)."""
    form: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint, resolved."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    access: Access
    tag: str
    summary: str = ""
    description: str = ""
    status: int = 200
    problems: tuple[Documented, ...] = ()
    wants: frozenset[str] = field(default_factory=frozenset)
    path_model: type[BaseModel] | None = None
    query_model: type[BaseModel] | None = None
    body: Body | None = None
    result: type[BaseModel] | None = None
    returns_response: bool = False
    max_body_bytes: int | None = None
    raw: bool = False
    """Raw routes stream: no time limit on the answer, no documentation, the query is the handler's business."""
    head: bool = True
    """Whether a GET route answers to HEAD, too. A stream does not: it would send the body that HEAD must not have."""
    quiet: bool = False
    """Quiet routes are not in the access log unless they fail."""
    oauth_errors: bool = False
    """Refusals as RFC 6749 section 5.2 wants them: `error` and `error_description` beside the problem's members."""


class Routes:
    """Collects endpoints. Make one where the dependencies are, and let the handlers be closures.

    def routes(deps: Deps) -> Routes:
        r = Routes("connections")

        @r.get("/api/v1/connections/{id}", access=Access.user(), summary="One connection")
        async def connection(path: ConnectionPath, principal: Principal) -> ConnectionView: ...

        return r
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._routes: list[Route] = []

    def __iter__(self) -> typing.Iterator[Route]:
        return iter(self._routes)

    def get(self, path: str, *, access: Access, summary: str, **more: Any) -> Callable[[F], F]:
        """Register a GET; see `route` for the options."""
        return self.route("GET", path, access=access, summary=summary, **more)

    def post(self, path: str, *, access: Access, summary: str, **more: Any) -> Callable[[F], F]:
        """Register a POST; see `route` for the options."""
        return self.route("POST", path, access=access, summary=summary, **more)

    def put(self, path: str, *, access: Access, summary: str, **more: Any) -> Callable[[F], F]:
        """Register a PUT; see `route` for the options."""
        return self.route("PUT", path, access=access, summary=summary, **more)

    def delete(self, path: str, *, access: Access, summary: str, **more: Any) -> Callable[[F], F]:
        """Register a DELETE; see `route` for the options."""
        return self.route("DELETE", path, access=access, summary=summary, **more)

    def route(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        summary: str,
        status: int = 200,
        problems: Sequence[Documented] = (),
        max_body_bytes: int | None = None,
        quiet: bool = False,
        oauth_errors: bool = False,
    ) -> Callable[[F], F]:
        """Register an endpoint. Raises TypeError at once if the handler's signature cannot be served.

        Args:
            method: the HTTP method.
            path: the path, with `{names}`.
            access: who may call it.
            summary: one line for the OpenAPI document.
            status: the status of its success.
            problems: the refusals that it may answer with.
            max_body_bytes: the longest body; None for the service's default.
            quiet: whether its requests stay out of the access log.
            oauth_errors: whether it refuses as RFC 6749 section 5.2 wants it.

        """

        def register(handler: F) -> F:
            self._routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    access=access,
                    tag=self.tag,
                    summary=summary,
                    description=inspect.getdoc(handler) or "",
                    status=status,
                    problems=tuple(problems),
                    max_body_bytes=max_body_bytes,
                    quiet=quiet,
                    oauth_errors=oauth_errors,
                    **_resolve(handler, access),
                )
            )
            return handler

        return register

    def raw(
        self,
        method: str,
        path: str,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        *,
        access: Access | None = None,
        quiet: bool = False,
        head: bool = True,
    ) -> None:
        """Register a handler of the bare request: for pages, streams and proxies.

        Its answer has no time limit (a body is read by `common.web.read_body` and its kin, which have), and it is not
        in the OpenAPI document. Problems, logs, metrics and traces work as elsewhere; with an `access`, the principal
        is in `request[PRINCIPAL]`.

        Args:
            method: of HTTP; `*` for any.
            path: with variables in braces.
            handler: gets the request.
            access: who may call; everybody by default.
            quiet: whether only failures are in the access log.
            head: whether a GET route answers to HEAD; False for a stream.

        """
        self._routes.append(
            Route(
                method=method,
                path=path,
                handler=handler,
                access=access or Access.public(),
                tag=self.tag,
                wants=frozenset({"request"}),
                raw=True,
                quiet=quiet,
                head=head,
            )
        )


def _resolve(handler: Callable[..., Any], access: Access) -> dict[str, Any]:
    where = f"handler {handler.__qualname__}"
    hints = typing.get_type_hints(handler, include_extras=True)
    parameters = inspect.signature(handler).parameters
    for name in parameters:
        if name not in _NAMES:
            raise TypeError(f"{where}: parameter {name!r} is none of {', '.join(sorted(_NAMES))}")
        if name not in hints:
            raise TypeError(f"{where}: parameter {name!r} has no type")
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{where}: must be async")
    if "principal" in parameters and access.is_public:
        raise TypeError(f"{where}: a public endpoint has no principal")
    if "principal" in parameters and hints["principal"] is not Principal:
        raise TypeError(f"{where}: principal must be a Principal")
    models = [kind for kind in _alternatives(hints.get("return")) if _is_model(kind)]
    return {
        "wants": frozenset(parameters),
        "path_model": _model(where, "path", hints.get("path")),
        "query_model": _model(where, "query", hints.get("query")),
        "body": _body(where, hints["body"]) if "body" in parameters else None,
        "result": models[0] if models else None,
        "returns_response": any(
            isinstance(kind, type) and issubclass(kind, web.StreamResponse | Reply)
            for kind in _alternatives(hints.get("return"))
        ),
    }


def _model(where: str, name: str, hint: Any) -> type[BaseModel] | None:
    if hint is None:
        return None
    if not _is_model(hint):
        raise TypeError(f"{where}: {name} must be a pydantic model, not {hint!r}")
    found: type[BaseModel] = hint
    return found


def _body(where: str, hint: Any) -> Body:
    form = False
    if typing.get_origin(hint) is Annotated:
        hint, *marks = typing.get_args(hint)
        form = any(isinstance(mark, FormMarker) for mark in marks)
    kinds = _alternatives(hint)
    optional = type(None) in kinds
    kinds = [kind for kind in kinds if kind is not type(None)]
    if len(kinds) != 1 or not (kinds[0] is bytes or _is_model(kinds[0])):
        raise TypeError(f"{where}: body must be one pydantic model or bytes, not {hint!r}")
    return Body(model=None if kinds[0] is bytes else kinds[0], form=form, optional=optional)


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in {Union, types.UnionType}:
        return list(typing.get_args(hint))
    return [hint]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
