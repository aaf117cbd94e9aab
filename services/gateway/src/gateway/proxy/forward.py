"""From the browser to a service and back. Bodies are streamed and never changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode

import aiohttp
from aiohttp import web

from common import edge
from common.telemetry.logs import get_logger
from common.web import Problem, Routes, read_body, read_form, stream_body
from gateway import metrics
from gateway.core.edge import way_back
from gateway.core.headers import inward, outward
from gateway.core.routing import PUBLIC_PREFIXES, SESSION, Guard, PrefixRule, rule_for
from gateway.proxy.entrance import Entrance
from gateway.proxy.exchange import Exchange
from gateway.proxy.upstreams import Upstreams

UNAUTHORIZED = 401

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The proxy and its rules.

    Attributes:
        entrance: what every request passes.
        upstreams: the services.
        exchange: cookies to JWTs.
        max_body_bytes: the largest body that is let in.

    """

    entrance: Entrance
    upstreams: Upstreams
    exchange: Exchange
    max_body_bytes: int = 1024 * 1024

    def routes(self) -> Routes:
        """Return the paths that are forwarded."""
        r = Routes("gateway")
        for prefix in PUBLIC_PREFIXES:
            r.raw("*", prefix + "/{tail:.*}", self.forward, quiet=prefix == "/.well-known")
        return r

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Check, exchange, send on, stream back.

        Raises:
            Problem: what is wrong, or which service is away.

        """
        rule = self._rule(request)
        with self.entrance.admit(request, rule) as address:
            headers = inward(request.headers, proofs=rule.guard is Guard.OPEN)
            headers["X-Forwarded-For"] = address
            cookie = None
            try:
                if rule.guard in {Guard.JWT, Guard.PAGE}:
                    cookie = self.entrance.cookie(request)
                    exchanged = await self.exchange.jwt_for(cookie, address)
                    headers["Authorization"] = f"Bearer {exchanged.token}"
                elif rule.guard is Guard.COOKIE:
                    cookie = self.entrance.cookie(request, needed=not rule.begins_session)
                    headers.update(_cookies(request, cookie))
            except Problem as problem:
                if problem.status == UNAUTHORIZED and rule.guard is Guard.PAGE:
                    return await self._without_session(request, problem)
                raise
            try:
                return await self._stream(request, rule, headers)
            finally:
                if rule.service == SESSION and request.method not in edge.SAFE_METHODS and cookie:
                    # Whatever it did to the session (another workspace, an end), the next JWT shall say so.
                    self.exchange.forget(cookie)

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

    async def _without_session(self, request: web.Request, problem: Problem) -> web.StreamResponse:
        """Send a person who navigates without a session to sign in; they come back to where they were going.

        A platform that answers by form post (OAuth 2.0 Form Post Response Mode) makes the browser send a POST from
        another site, without the session cookie, which is SameSite=Lax. As a GET to the same address the browser sends
        it, so the answer is turned into one.

        Raises:
            Problem: the refusal itself, where nobody navigates; 4xx for an answer that is no form.

        """
        path = request.rel_url.raw_path
        if request.method == "POST" and path.endswith("/callback"):
            fields = urlencode([*request.query.items(), *await read_form(request, _SMALL_BODY)])
            if len(fields) > _LONGEST_QUERY:
                raise Problem(413, "answer_too_large", detail="the platform's answer is too large for an address")
            return _see_other(f"{path}?{fields}")
        if request.method not in {"GET", "HEAD"}:
            raise problem
        back = edge.safe_return_to(way_back(request.rel_url.raw_path_qs))
        return _see_other(f"/sign-in?reason={quote(problem.code)}&return_to={quote(back, safe='')}")


_SMALL_BODY = 64 * 1024
_LONGEST_QUERY = 6_000
"""Characters; servers take a first line of 8,190."""


def _see_other(location: str) -> web.Response:
    return web.Response(
        status=303, headers={"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )


def _cookies(request: web.Request, session: str | None) -> dict[str, str]:
    """Return the `Cookie` header for session-svc: its own two, each once, and under the names that it knows."""
    device = next(
        (v for n, v in edge.read_cookies(request.headers.getall("Cookie", ())) if n == edge.DEVICE_COOKIE), None
    )
    sent = {edge.SESSION_COOKIE: session, edge.DEVICE_COOKIE: device}
    line = "; ".join(f"{name}={value}" for name, value in sent.items() if value)
    return {"Cookie": line} if line else {}
