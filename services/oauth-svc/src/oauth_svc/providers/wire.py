"""Outgoing calls: own connector per provider, a total deadline, no redirects, a body limit, no private addresses.

No layer below or above repeats a request. aiohttp repeats a GET and a DELETE after a disconnect, so it is kept from
that: Meta's code exchange and Outbrain's login are GETs. Sockets are kept only briefly, because a stale one would turn
a plain refusal into an unknown outcome.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from common.platforms.errors import retry_after_s
from common.web.outbound import BlockedAddressError, blocked, guarded_connector

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
        """Return seconds from `Retry-After`, whichever of its forms was used."""
        return retry_after_s(self.headers)


class NoAnswerError(Exception):
    """There is no answer. `sent` is False only when the request certainly never left."""

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turn a disconnect into an error that aiohttp does not answer by sending the request again."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise  # it never left
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError("disconnected") from error


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
        """Return the answer to one request that is sent once.

        Raises:
            NoAnswerError: nothing usable came back within the total deadline.

        """
        url = self._target(request)
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
        except aiohttp.InvalidURL as error:
            raise NoAnswerError("insecure_url", sent=False) from error
        except (aiohttp.ClientConnectorError, BlockedAddressError) as error:
            raise NoAnswerError("no_connection", sent=False) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError("cut_off" if started else "no_answer", sent=True) from error
        if len(body) > BODY_LIMIT:
            raise NoAnswerError("answer_too_long", sent=True)
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)

    def _target(self, request: Request) -> URL:
        """Return the URL as the client reads it, if it may be called."""
        try:
            url = URL(f"{request.url}?{urlencode(request.query)}" if request.query else request.url)
        except ValueError:
            raise NoAnswerError("insecure_url", sent=False) from None
        if (why := blocked(url, self._allowed)) is not None:
            raise NoAnswerError(why, sent=False)
        return url

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = guarded_connector(
                self._allowed, limit=self._limit, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=60
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
