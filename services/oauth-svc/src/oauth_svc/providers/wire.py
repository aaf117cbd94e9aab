"""Outgoing calls: own connector per provider, a total deadline, no redirects, a body limit, no private addresses.

No layer below or above repeats a request. aiohttp repeats a GET and a DELETE after a disconnect, so it is kept from
that: Meta's code exchange and Outbrain's login are GETs. Sockets are kept only briefly, because a stale one would turn
a plain refusal into an unknown outcome.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from common.platforms.errors import retry_after_s

BODY_LIMIT = 16 << 20
"""Longest answer that is read, in bytes: a manager's 10,000 customers, pretty-printed, are about 3 MB."""

KEEPALIVE_S = 2.0
USER_AGENT = "Wevion/1.0"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """One call. Exactly one of `form` and `json` may be given."""

    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def retry_after_s(self) -> float | None:
        """Seconds from `Retry-After`, whichever of its forms was used."""
        return retry_after_s(self.headers)


class NoAnswerError(Exception):
    """There is no answer. `sent` is False only when the request certainly never left."""

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent


class BlockedAddressError(OSError):
    """A configured URL leads to a private address that the settings do not allow."""


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead to a private address (SSRF by a configured URL)."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if f"{host}:{port}" not in self._allowed and not all(is_public(entry["host"]) for entry in found):
            raise BlockedAddressError(f"{host}: a private address that allow_private_hosts does not name")
        return found

    async def close(self) -> None:
        await self._inner.close()


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turn a disconnect into an error that aiohttp does not answer by sending the request again."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise  # it never left
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError("disconnected") from error


def is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global


class Wire:
    """The connection pool of one provider."""

    def __init__(
        self, *, allowed_private: frozenset[str] = frozenset(), total_timeout_s: float = 10.0, limit: int = 256
    ) -> None:
        self._allowed = allowed_private
        self._total_timeout_s = total_timeout_s
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        """The answer to one request that is sent once.

        Raises:
            NoAnswerError: nothing usable came back within the total deadline.

        """
        self._guard_literal(request.url)
        url = f"{request.url}?{urlencode(request.query)}" if request.query else request.url
        data: bytes | None = None
        headers = request.headers
        if request.form is not None:
            # Encoded here: aiohttp's FormData comes to the same bytes in several times the time.
            data, headers = urlencode(request.form).encode(), {**headers, "Content-Type": FORM}
        started = False
        try:
            async with asyncio.timeout(self._total_timeout_s):
                async with self._open().request(
                    request.method,
                    url,
                    headers=headers,
                    data=data,
                    json=request.json,
                    allow_redirects=False,
                    middlewares=() if request.method == "POST" else (_once,),
                ) as response:
                    started = True
                    body = await response.content.read(BODY_LIMIT + 1)
                    while len(body) <= BODY_LIMIT and not response.content.at_eof():
                        more = await response.content.read(BODY_LIMIT + 1 - len(body))
                        if not more:
                            break
                        body += more
        except aiohttp.ConnectionTimeoutError as error:
            raise NoAnswerError("connect_timeout", sent=False) from error
        except TimeoutError as error:
            raise NoAnswerError("timeout", sent=True) from error
        except (aiohttp.ClientConnectorError, BlockedAddressError) as error:
            raise NoAnswerError("no_connection", sent=False) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError("cut_off" if started else "no_answer", sent=True) from error
        if len(body) > BODY_LIMIT:
            raise NoAnswerError("answer_too_long", sent=True)
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._limit,
                keepalive_timeout=KEEPALIVE_S,
                resolver=GuardedResolver(self._allowed),
                ttl_dns_cache=60,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._total_timeout_s / 2),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
                auto_decompress=True,
                trust_env=False,
            )
        return self._session

    def _guard_literal(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        allowed = f"{host}:{port}" in self._allowed
        if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not allowed):
            raise NoAnswerError("insecure_url", sent=False)
        if allowed:
            return
        try:
            public = is_public(host)
        except ValueError:
            return  # a name: the resolver looks at what it leads to
        if not public:
            raise NoAnswerError("blocked_address", sent=False)
