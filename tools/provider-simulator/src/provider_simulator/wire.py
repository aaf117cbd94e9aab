"""One request at the platform port: which route it meets, what a handler gets to know, and how it is answered.

No aiohttp router here: the host is the first path segment, the exact paths are one dictionary, and the token endpoints
have to be cheap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

if TYPE_CHECKING:
    from provider_simulator.faults import Fault
    from provider_simulator.grants import Grant, Token
    from provider_simulator.world import World

JSON = "application/json"
# What a request may present to be given a token, in the order in which platforms name it.
PRESENTED = ("refresh_token", "code", "auth_code", "fb_exchange_token")
MAX_BODY_BYTES = 1 << 20

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]


class Reply(Exception):
    """Carries a platform's answer out of the depth of a handler."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Route:
    """`endpoint` is the name by which faults find it: authorize, token, revoke, accounts, api, ..."""

    provider: str
    endpoint: str
    handler: Handler
    # Where several products share one endpoint, who is asked for is only known from the request.
    who: Callable[[Call], Awaitable[str]] | None = None


@dataclass(slots=True)
class Call:
    request: web.BaseRequest
    route: Route
    world: World
    path: Mapping[str, str]
    now: float
    fault: Fault | None = None
    _body: bytes | None = None
    _form: dict[str, str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    @property
    def origin(self) -> str:
        return f"{self.request.scheme}://{self.request.host}"

    async def body(self) -> bytes:
        if self._body is None:
            self._body = await self.request.read()
        return self._body

    async def form(self) -> dict[str, str]:
        """The urlencoded body; empty for another content type."""
        if self._form is None:
            if self.request.content_type == "application/x-www-form-urlencoded":
                self._form = dict(parse_qsl((await self.body()).decode("utf-8", "replace"), keep_blank_values=True))
            else:
                self._form = {}
        return self._form

    async def json(self) -> dict[str, Any] | None:
        """The JSON object in the body; None when it is not one, or not declared as one."""
        if self.request.content_type != JSON:
            return None
        try:
            document = json.loads(await self.body())
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    async def parameters(self) -> dict[str, str]:
        """Query, form and JSON body together, for platforms that do not care where a parameter stands."""
        merged = dict(self.request.query) | await self.form()
        if self.request.can_read_body and (document := await self.json()) is not None:
            merged |= {k: v if isinstance(v, str) else json.dumps(v) for k, v in document.items()}
        return merged

    @property
    def bearer(self) -> str | None:
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" and value else None

    def platform_time(self, moment: float) -> int:
        """A time as this platform's clock tells it."""
        return int(moment + self.world.faults.skew_s(self.route.provider))

    def record(
        self,
        operation: str,
        outcome: str,
        *,
        presented: str | None = None,
        token: Token | None = None,
        grant: Grant | None = None,
        twice: bool = False,
        provider: str | None = None,
    ) -> None:
        """Write this request into the ledger."""
        self.world.ledger.write(
            provider or self.route.provider,
            operation,
            now=self.now,
            outcome=outcome,
            presented=presented,
            grant=grant if grant is not None else (token.grant if token is not None else None),
            fault=None if self.fault is None else self.fault.kind,
            twice=twice,
        )


class Routes:
    """Exact paths first, then patterns of the host in the order in which they were added."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: dict[str, list[tuple[str, re.Pattern[str], Route]]] = {}
        self._fallback: dict[str, Route] = {}

    def add(self, method: str, host: str, path: str, route: Route) -> None:
        """`path` may hold `{name}` for one segment."""
        if "{" not in path:
            self._exact[method, f"/{host}{path}"] = route
            return
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        self._patterns.setdefault(host, []).append((method, re.compile(pattern), route))

    def otherwise(self, host: str, route: Route) -> None:
        """What this host says to a path that it does not have."""
        self._fallback[host] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        if (route := self._exact.get((method, path))) is not None:
            return route, {}
        host, _, rest = path[1:].partition("/")
        for wanted, pattern, route in self._patterns.get(host, ()):
            if wanted == method and (match := pattern.fullmatch("/" + rest)) is not None:
                return route, match.groupdict()
        fallback = self._fallback.get(host)
        return None if fallback is None else (fallback, {})


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        content_type=JSON,
        headers=headers,
    )


def http_date(moment: float) -> str:
    return formatdate(moment, usegmt=True)
