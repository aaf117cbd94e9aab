"""From the browser to a service and back. Bodies are streamed and never changed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import aiohttp
from aiohttp import web

from common import edge
from common.telemetry.logs import get_logger
from common.web import Problem, Routes, read_body, stream_body
from gateway import metrics
from gateway.core.headers import inward, outward, session_cookie
from gateway.core.routing import PUBLIC_PREFIXES, SESSION, Guard, PrefixRule, rule_for
from gateway.proxy.exchange import Exchange
from gateway.proxy.upstreams import Upstreams

UNAUTHORIZED = 401

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The proxy and its rules.

    Attributes:
        upstreams: the services.
        exchange: cookies to JWTs.
        allowed_origins: whose pages may make unsafe calls.
        trusted: proxies in front of this one, whose `X-Forwarded-For` is believed.
        security: headers that every answer of this origin has, unless it sets them itself.
        max_body_bytes: the largest body that is let in.

    """

    upstreams: Upstreams
    exchange: Exchange
    allowed_origins: frozenset[str]
    trusted: Sequence[edge.Network] = ()
    security: Mapping[str, str] = field(default_factory=dict)
    max_body_bytes: int = 1024 * 1024

    def routes(self) -> Routes:
        """Return the paths that are forwarded."""
        r = Routes("gateway")
        for prefix in PUBLIC_PREFIXES:
            r.raw("*", prefix + "/{tail:.*}", self.forward, quiet=prefix == "/.well-known")
        return r

    def client_address(self, request: web.Request) -> str:
        """Return the browser's address."""
        return edge.client_address(request.remote, request.headers.getall("X-Forwarded-For", []), self.trusted)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Check, exchange, send on, stream back.

        Raises:
            Problem: what is wrong, or which service is away.

        """
        rule = self._rule(request)
        if rule.check_origin:
            self.check_origin(request)
        address = self.client_address(request)
        cookie = session_cookie(request.headers.getall("Cookie", ()))
        headers = inward(request.headers, keep_authorization=rule.guard is Guard.OPEN)
        headers["X-Forwarded-For"] = address
        headers["X-Forwarded-Host"] = request.host
        headers["X-Forwarded-Proto"] = request.scheme
        if rule.guard is Guard.COOKIE:
            if cookie:
                others = headers.get("Cookie")
                headers["Cookie"] = f"{edge.SESSION_COOKIE}={cookie}" + (f"; {others}" if others else "")
        elif rule.guard is not Guard.OPEN:
            try:
                exchanged = await self.exchange.jwt_for(cookie, address)
            except Problem as problem:
                if problem.status == UNAUTHORIZED and _is_navigation(request, rule):
                    return self._to_sign_in(request, problem)
                raise
            headers["Authorization"] = f"Bearer {exchanged.token}"
        try:
            return await self._stream(request, rule, headers)
        finally:
            if rule.service == SESSION and request.method not in edge.SAFE_METHODS and cookie:
                # Whatever it did to the session (another workspace, an end), the next JWT shall say so.
                self.exchange.forget(cookie)

    def check_origin(self, request: web.Request) -> None:
        """Refuse an unsafe call that does not come from one of our pages (CSRF).

        Raises:
            Problem: 403.

        """
        if request.method in edge.SAFE_METHODS:
            return
        origin = request.headers.get("Origin")
        if origin is None or origin.lower() not in self.allowed_origins:
            code = "origin_missing" if origin is None else "origin_not_allowed"
            metrics.REFUSED.labels(code).inc()
            raise Problem(
                403,
                code,
                "This call does not come from one of Wevion's pages",
                "Unsafe calls need an Origin header that names one of them.",
                fix="Make the call from the console; programs use a service client at the services themselves.",
            )

    def _rule(self, request: web.Request) -> PrefixRule:
        path = request.rel_url.raw_path
        decoded = unquote(path)
        # Dots, doubled slashes and encoded ones could mean one path here and another one in a service.
        if any(part in {".", ".."} for part in decoded.split("/")) or "//" in decoded or "\\" in decoded:
            metrics.REFUSED.labels("path_not_plain").inc()
            raise Problem(400, "path_not_plain", detail="the path has empty, dot or backslash segments")
        rule = rule_for(path)
        if rule is None or rule_for(decoded) != rule:
            raise Problem(404, "not_found", "There is nothing here")
        return rule

    async def _stream(self, request: web.Request, rule: PrefixRule, headers: Mapping[str, str]) -> web.StreamResponse:
        data = await self._body(request)
        async with self.upstreams.request(
            rule.service,
            request.method,
            request.rel_url.raw_path_qs,
            headers=headers,
            data=data,
            retry=rule.repeatable or request.method in edge.SAFE_METHODS,
        ) as answer:
            metrics.PROXIED.labels(rule.service, f"{answer.status // 100}xx").inc()
            back = outward(answer.headers, owns_session=rule.service == SESSION)
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=back)
            length = answer.headers.get("Content-Length")
            if length is not None and length.isdigit():
                response.content_length = int(length)
            await response.prepare(request)
            try:
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except (aiohttp.ClientError, ConnectionError, OSError) as error:
                # The head is out: all that can be done is to break off, so that nobody takes a part for the whole.
                _log.warning("stream_broke_off", upstream=rule.service, error_type=type(error).__name__)
                if request.transport is not None:
                    request.transport.abort()
            return response

    async def _body(self, request: web.Request) -> bytes | AsyncIterator[bytes] | None:
        """Return the body: a small one whole, so that it can be sent twice; a larger one as it arrives."""
        if not request.body_exists or not request.can_read_body:
            return None
        length = request.content_length
        try:
            if length is not None and length <= _SMALL_BODY:
                return await read_body(request, self.max_body_bytes)
        except Problem as problem:
            metrics.REFUSED.labels(problem.code).inc()
            raise
        return stream_body(request, self.max_body_bytes)

    def _to_sign_in(self, request: web.Request, problem: Problem) -> web.StreamResponse:
        """Return a person who navigates without a session signs in first, and comes back to where they were going."""
        back = edge.safe_return_to(request.rel_url.raw_path_qs)
        where = f"/sign-in?reason={quote(problem.code)}&return_to={quote(back, safe='')}"
        return web.Response(status=303, headers={"Location": where, "Cache-Control": "no-store"})


_SMALL_BODY = 64 * 1024


def _is_navigation(request: web.Request, rule: PrefixRule) -> bool:
    return rule.guard is Guard.PAGE and request.method in {"GET", "HEAD"}
