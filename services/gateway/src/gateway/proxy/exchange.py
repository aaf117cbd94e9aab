"""The session cookie becomes a JWT: asked for at session-svc once, kept until shortly before it ends.

A kept JWT is verified like any other at every use, revocations included, so a forced logout is felt here as fast as
everywhere. What is kept is found by the cookie's hash; the cookie itself is not.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from common.auth import Verifier
from common.edge import SESSION_COOKIE
from common.runtime.clock import Clock
from common.web import Principal, Problem
from gateway import metrics
from gateway.core.routing import SESSION
from gateway.proxy.upstreams import Upstreams

RENEW_BEFORE_S = 120
"""A JWT is renewed this long before its end, so that none runs out on the way to a service or inside one."""
MOST_KEPT = 50_000
_COOKIE_LENGTH = 43
_OK = 200
_LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Exchanged:
    """A JWT and who it is for."""

    token: str
    principal: Principal


@dataclass(frozen=True, slots=True, repr=False)
class _Kept:
    token: str
    renew_at: float
    session_id: UUID


class Exchange:
    """Cookies in, JWTs out. One per process."""

    def __init__(self, upstreams: Upstreams, verifier: Verifier, clock: Clock) -> None:
        self._upstreams = upstreams
        self._verifier = verifier
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Kept]] = {}
        metrics.CACHED_JWTS.set_function(lambda: len(self._kept))

    async def jwt_for(self, cookie: str | None, address: str) -> Exchanged:
        """Return the JWT of the session behind a cookie.

        Raises:
            Problem: 401 with the reason why there is no session; 502 to 504 when session-svc does not answer.

        """
        if not cookie or len(cookie) != _COOKIE_LENGTH or not cookie.isascii():
            return await self._ask_and_verify(b"", "", address)  # session-svc says it in its own words
        key = hashlib.sha256(cookie.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and self._clock.now().timestamp() < kept.renew_at:
            try:
                principal = await self._verifier.verify(kept.token, self._clock.now())
            except Problem:
                # It was good, and is not any more: session-svc knows precisely why, or has another one.
                self._kept.pop(key, None)
            else:
                self._kept.move_to_end(key)
                metrics.EXCHANGES.labels("kept").inc()
                return Exchanged(kept.token, principal)
        return await self._ask_and_verify(key, cookie, address)

    def forget(self, cookie: str | None) -> None:
        """The next use of this cookie asks session-svc."""
        if cookie:
            self._kept.pop(hashlib.sha256(cookie.encode()).digest(), None)

    def forget_session(self, session_id: UUID) -> None:
        """As `forget`, by the session: it changed (another workspace, another role) or ended."""
        for key in [key for key, kept in self._kept.items() if kept.session_id == session_id]:
            del self._kept[key]

    async def _ask_and_verify(self, key: bytes, cookie: str, address: str) -> Exchanged:
        kept = await self._ask_once(key, cookie, address)
        principal = await self._verifier.verify(kept.token, self._clock.now())
        return Exchanged(kept.token, principal)

    async def _ask_once(self, key: bytes, cookie: str, address: str) -> _Kept:
        """Ten tabs that wake up together ask once. The first one's cancellation does not stop it for the others."""
        if not key:
            return await self._ask(key, cookie, address)
        running = self._asking.get(key)
        if running is None:
            running = asyncio.create_task(self._ask(key, cookie, address), name="exchange")
            self._asking[key] = running
            running.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(running)

    def _answered(self, key: bytes, task: "asyncio.Task[_Kept]") -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # it was raised to those who waited; nobody may be left to hear it

    async def _ask(self, key: bytes, cookie: str, address: str) -> _Kept:
        headers = {"X-Forwarded-For": address}
        if cookie:
            headers["Cookie"] = f"{SESSION_COOKIE}={cookie}"
        # Safe to repeat at another replica: minting twice harms nothing, and the session is extended once.
        async with self._upstreams.request(
            SESSION, "POST", "/api/v1/auth/token", headers=headers, retry=True
        ) as answer:
            body = await answer.content.read(_LARGEST_ANSWER)
            while len(body) < _LARGEST_ANSWER and (more := await answer.content.read(_LARGEST_ANSWER)):
                body += more
            if answer.status != _OK:
                metrics.EXCHANGES.labels("refused").inc()
                raise _as_problem(answer.status, body, answer.headers.get("Retry-After"))
        document = json.loads(body)
        expires_at = int(document["expires_at"])
        life = expires_at - int(document["issued_at"])
        # A short-lived JWT (the end of an impersonation) is kept for half of its life at least.
        kept = _Kept(document["token"], expires_at - min(RENEW_BEFORE_S, life / 2), UUID(document["session_id"]))
        if key:
            self._kept[key] = kept
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        metrics.EXCHANGES.labels("asked").inc()
        return kept


def _as_problem(status: int, body: bytes, retry_after: str | None) -> Problem:
    """session-svc's own refusal, word for word."""
    try:
        document = json.loads(body)
        code = document["code"]
    except (ValueError, TypeError, KeyError):
        return Problem(502, "service_answer_unreadable", f"{SESSION} gave an unreadable answer", f"status {status}")
    return Problem(
        status,
        code,
        document.get("title", ""),
        document.get("detail", ""),
        fix=document.get("fix", ""),
        fix_url=document.get("fix_url", ""),
        token_kind=document.get("token_kind"),
        token_id=document.get("token_id"),
        cause=document.get("cause"),
        headers={"Retry-After": retry_after} if retry_after else None,
    )
