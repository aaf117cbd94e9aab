"""A closed-loop HTTP load: raw sockets and prepared requests, so that the loader is not what is measured."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.results import quantile
from common.runtime.clock import monotonic

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(slots=True)
class Load:
    """What one window of load saw."""

    seconds: float = 0.0
    answers: int = 0
    failures: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.answers / self.seconds

    def quantile_ms(self, share: float) -> float:
        """The latency that `share` of the answers kept."""
        return quantile(self.latencies_ms, share)


def get(path: str, host: str, headers: dict[str, str]) -> bytes:
    """A prepared GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def drive(host: str, port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Load:
    """Send the requests round and round over `connections` for `seconds`, each waiting for its answer."""
    load = Load()
    started = monotonic()
    deadline = started + seconds
    # Each connection begins elsewhere in the round, so that all requests are in use at once.
    rounds = [[*requests[first:], *requests[:first]] for first in (n % len(requests) for n in range(connections))]
    await asyncio.gather(*(_connection(host, port, own, deadline, load) for own in rounds))
    load.seconds = monotonic() - started
    return load


async def _connection(host: str, port: int, requests: Sequence[bytes], deadline: float, load: Load) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    number = 0
    try:
        while (sent := monotonic()) < deadline:
            writer.write(requests[number % len(requests)])
            number += 1
            head = await reader.readuntil(_END_OF_HEAD)
            length = _content_length(head)
            if length:
                await reader.readexactly(length)
            if head.startswith(b"HTTP/1.1 200"):
                load.answers += 1
                load.latencies_ms.append((monotonic() - sent) * 1000)
            else:
                load.failures += 1
    finally:
        writer.close()


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start < 0:
        return 0
    return int(lowered[start + 15 : lowered.index(b"\r\n", start)])
