"""The services behind the gateway: several URLs each, and what to do when one does not answer.

A request that was certainly not seen by a replica (no connection could be made) goes to the next one. A request that
may have been seen is never repeated here, unless it is safe to: the browser is told, and decides. The HTTP client
tries an idempotent request (GET, PUT, DELETE) once more at the same replica when its connection breaks.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from common.runtime.clock import monotonic
from common.telemetry import tracing
from common.telemetry.logs import get_logger
from common.web import Problem
from gateway import metrics

CONNECT_TIMEOUT_S = 2.0
UNAVAILABLE = "upstream_unavailable"
AVOID_FOR_S = 1.0
"""A replica that refused a connection is asked last for this long."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Replica:
    url: str
    avoid_until: float = 0.0


class Upstreams:
    """Calls services by name.

    Args:
        http: the client; it follows no redirect and decodes nothing.
        urls: by service, its replicas.
        first_byte_s: how long a service may think before its answer begins.

    """

    def __init__(self, http: aiohttp.ClientSession, urls: Mapping[str, Sequence[str]], *, first_byte_s: float) -> None:
        self._http = http
        self._replicas = {name: [_Replica(url.rstrip("/")) for url in found] for name, found in urls.items()}
        self._turn = dict.fromkeys(self._replicas, 0)
        self._first_byte_s = first_byte_s

    @asynccontextmanager
    async def request(
        self,
        service: str,
        method: str,
        target: str,
        *,
        headers: Any,
        data: Any = None,
        retry: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer of a service, head first; its body is read by the caller, without a limit on the whole.

        Args:
            service: its name.
            method: of the request.
            target: path and query, as the browser wrote them.
            headers: complete, but for Host and Content-Length.
            data: the body: bytes, or a stream that can be read once.
            retry: whether the request may be repeated at another replica though one may have seen it.

        Raises:
            Problem: 502 or 504, naming the service.

        """
        streamed = data is not None and not isinstance(data, bytes)
        tracing.inject(headers)
        last: Exception | None = None
        for replica in self._in_order(service):
            started = monotonic()
            try:
                response = await self._send(replica, method, target, headers, data)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                # Nothing was sent: the next replica may have it, whatever the method.
                last = error
                self._avoid(replica, service, "connect", error)
                continue
            except (aiohttp.ClientError, ConnectionError) as error:
                if isinstance(error.__cause__, Problem):
                    raise error.__cause__ from None  # the body that was being sent on is refused, not the service
                last = error
                self._avoid(replica, service, "broken", error)
                if retry and not streamed:
                    continue
                break
            except TimeoutError as error:
                metrics.UPSTREAM_FAILURES.labels(service, "timeout").inc()
                _log.warning("upstream_timeout", upstream=service, url=replica.url)
                raise self._timeout(service) from error
            metrics.PROXY_SECONDS.labels(service).observe(monotonic() - started)
            try:
                yield response
            finally:
                if response.content.at_eof():
                    response.release()
                else:
                    response.close()  # half-read: the connection cannot be used again
            return
        raise self._down(service, last)

    def _in_order(self, service: str) -> list[_Replica]:
        """Return all replicas, in turn, those that refused lately at the end."""
        replicas = self._replicas.get(service, [])
        if len(replicas) < 2:  # noqa: PLR2004
            return list(replicas)
        self._turn[service] = turn = (self._turn[service] + 1) % len(replicas)
        now = monotonic()
        turned = replicas[turn:] + replicas[:turn]
        return sorted(turned, key=lambda replica: replica.avoid_until > now)

    async def _send(
        self, replica: _Replica, method: str, target: str, headers: Any, data: Any
    ) -> aiohttp.ClientResponse:
        # The limit is on the head of the answer; a stream (live updates, a download) may last as long as it likes.
        async with asyncio.timeout(self._first_byte_s):
            return await self._http.request(
                method,
                replica.url + target,
                headers=headers,
                data=data,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            )

    def _avoid(self, replica: _Replica, service: str, kind: str, error: Exception) -> None:
        replica.avoid_until = monotonic() + AVOID_FOR_S
        metrics.UPSTREAM_FAILURES.labels(service, kind).inc()
        _log.warning("upstream_failed", upstream=service, url=replica.url, kind=kind, error_type=type(error).__name__)

    def _down(self, service: str, error: Exception | None) -> Problem:
        broken = error is not None and not isinstance(
            error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
        )
        metrics.REFUSED.labels(UNAVAILABLE).inc()
        if broken:
            return Problem(
                502,
                UNAVAILABLE,
                f"{service} broke off",
                f"The connection to {service} was lost before it answered; the request may or may not have been done.",
                fix="Look whether it was done, then try again.",
                extra={"service": service, "kind": "broke_off"},
            )
        return Problem(
            503,
            UNAVAILABLE,
            f"{service} is not available",
            f"{service} does not accept connections right now. Other parts of Wevion are not affected.",
            fix="Try again in a few seconds.",
            headers={"Retry-After": "2"},
            extra={"service": service, "kind": "refused"},
        )

    def _timeout(self, service: str) -> Problem:
        metrics.REFUSED.labels(UNAVAILABLE).inc()
        return Problem(
            504,
            UNAVAILABLE,
            f"{service} takes too long",
            f"{service} did not answer within {self._first_byte_s:g} s; the request may or may not have been done.",
            fix="Look whether it was done, then try again.",
            extra={"service": service, "kind": "timeout"},
        )
