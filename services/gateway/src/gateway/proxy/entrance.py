"""The way in: whose request it is, whether its page may make it, its cookie, and how many there may be at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from common import edge
from common.web import Problem
from gateway import metrics
from gateway.core.edge import Sender, refusal_of
from gateway.core.routing import PrefixRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What every request passes, forwarded or answered here.

    Attributes:
        origin: the public one.
        further_origins: others whose pages may make calls.
        trusted_hops: how many proxies in front of this one are ours.
        most_per_address: requests and streams of one address at a time.
        secure: whether browsers come over TLS.

    """

    origin: str
    further_origins: frozenset[str] = frozenset()
    trusted_hops: int = 0
    most_per_address: int = 500
    secure: bool = True
    _inside: Counter[str] = field(default_factory=Counter)

    def address(self, request: web.Request) -> str:
        """Return the browser's address."""
        forwarded_for = request.headers.getall("X-Forwarded-For", [])
        return edge.client_address(request.remote, forwarded_for, self.trusted_hops)

    @contextmanager
    def admit(self, request: web.Request, rule: PrefixRule) -> Iterator[str]:
        """Let a request in; yield its address.

        Raises:
            Problem: 403 for the page of somebody else, 429 when there are too many of the address.

        """
        self._check_sender(request, rule)
        address = self.address(request)
        key = edge.limit_key(address)
        if self._inside[key] >= self.most_per_address:
            metrics.REFUSED.labels("too_many_at_once").inc()
            raise Problem(
                429,
                "too_many_at_once",
                "There are too many requests at once",
                f"{self.most_per_address} requests of this address are being answered already.",
                fix="Wait for some of them to end.",
                headers={"Retry-After": "5"},
            )
        self._inside[key] += 1
        try:
            yield address
        finally:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]

    def cookie(self, request: web.Request, *, needed: bool = True) -> str | None:
        """Return the session cookie, or None; `needed`: whether several are refused, or are as good as none.

        Raises:
            Problem: 401 if several differ. Signing in again is the way out: it sets the cookie that wins. Without TLS
                there is none that wins, so the browser is told to drop them all.

        """
        try:
            return edge.session_cookie(request.headers.getall("Cookie", ()))
        except edge.AmbiguousCookieError:
            if not needed:
                return None
            metrics.REFUSED.labels("session_ambiguous").inc()
            raise Problem(
                401,
                "session_ambiguous",
                "There are two session cookies",
                "The browser sent several session cookies that differ; one of them is left over, or was planted.",
                fix="Sign in again. If that does not help, delete this site's cookies in the browser.",
                fix_url=f"{self.origin}/sign-in",
                headers={} if self.secure else {"Clear-Site-Data": '"cookies"'},
            ) from None

    def _check_sender(self, request: web.Request, rule: PrefixRule) -> None:
        headers = request.headers
        sender = Sender(
            request.method,
            headers.get("Origin"),
            headers.get("Sec-Fetch-Site", "").lower(),
            headers.get("Sec-Fetch-Mode", "").lower(),
        )
        code = refusal_of(sender, rule, self.origin, self.further_origins)
        if code is not None:
            metrics.REFUSED.labels(code).inc()
            raise Problem(
                403,
                code,
                "This call does not come from one of Wevion's pages",
                "Calls are for Wevion's own pages; unsafe ones need an Origin header that names one of them.",
                fix="Make the call from the console; programs use a service client at the services themselves.",
            )
