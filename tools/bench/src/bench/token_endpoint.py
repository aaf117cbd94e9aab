"""A token endpoint (RFC 6749, section 6) that is never the bottleneck: raw sockets, a fixed delay, rotating tokens.

It keeps the one promise that the benchmark needs: it knows how often each refresh token was presented.
`GET /stats` answers `{"requests", "refused", "presented_twice", "first_s", "last_s"}`.
"""

import argparse
import asyncio
import json
from collections import deque
from urllib.parse import parse_qs

from common.runtime.clock import monotonic


class Ledger:
    """Which tokens are live, and which were presented."""

    def __init__(self) -> None:
        self.requests = 0
        self.refused = 0
        self.presented_twice = 0
        self.first = 0.0
        self.last = 0.0
        self._presented: set[str] = set()

    def answer(self, form: dict[str, list[str]]) -> bytes:
        """The body for a refresh: a new pair, or `invalid_grant` for a token that was presented before."""
        self.requests += 1
        self.last = monotonic()
        self.first = self.first or self.last
        token = form.get("refresh_token", [""])[0]
        if not token or form.get("grant_type") != ["refresh_token"]:
            self.refused += 1
            return _http(400, {"error": "invalid_request"})
        if token in self._presented:
            self.presented_twice += 1
            return _http(400, {"error": "invalid_grant"})
        self._presented.add(token)
        name, _, generation = token.rpartition(".")
        new = f"{name}.{int(generation or 0) + 1}"
        return _http(
            200,
            {"access_token": f"at-{new}", "token_type": "Bearer", "expires_in": 3600, "refresh_token": new},
        )

    def stats(self) -> bytes:
        """The counts."""
        return _http(
            200,
            {
                "requests": self.requests,
                "refused": self.refused,
                "presented_twice": self.presented_twice,
                "first_s": self.first,
                "last_s": self.last,
            },
        )


def _http(status: int, body: dict[str, object]) -> bytes:
    raw = json.dumps(body).encode()
    reason = "OK" if status == 200 else "Bad Request"  # noqa: PLR2004
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


class Connection(asyncio.Protocol):
    """One client; requests are answered in order, each after the delay."""

    def __init__(self, ledger: Ledger, delay_s: float) -> None:
        self._ledger = ledger
        self._delay_s = delay_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a TCP server hands out nothing else
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"get "):
                self._write(self._ledger.stats())
            else:
                answer = self._ledger.answer(parse_qs(body.decode()))
                asyncio.get_running_loop().call_later(self._delay_s, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port: int, delay_s: float) -> None:
    """Serve until killed."""
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(ledger, delay_s), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=50)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.delay_ms / 1000))
