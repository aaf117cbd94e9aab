"""A TCP proxy that misbehaves by order of a test: delay, cut, reset, blackhole, refuse.

It stands between a service and Kafka, PostgreSQL or a platform, so that the network's faults can be had
on one machine. Kafka clients follow the address that the broker advertises: point `advertised_port` of
`processes.Kafka` at the proxy when the proxy stands before Kafka.
"""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024
#: SO_LINGER with a zero timeout: close() then sends RST instead of FIN.
LINGER_RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """`async with FaultProxy("127.0.0.1", 5432) as proxy:` listens on `proxy.port` on loopback."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flow = asyncio.Event()
        self._flow.set()
        self._delay_s = 0.0
        self.port = 0
        #: Connections accepted since the start; a test can see that a client came back.
        self.accepted = 0

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.refuse()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def delay(self, seconds: float) -> None:
        """Holds each chunk back for so long, in both directions."""
        self._delay_s = seconds

    def blackhole(self) -> None:
        """Connections stay open and new ones are accepted, and no byte arrives any more."""
        self._flow.clear()

    def cut(self) -> None:
        """Ends every open connection in an orderly way (FIN); new ones are welcome."""
        self._close_all(reset=False)

    def reset(self) -> None:
        """Ends every open connection with a reset (RST); new ones are welcome."""
        self._close_all(reset=True)

    async def refuse(self) -> None:
        """Ends every connection and refuses new ones, as a stopped server does."""
        if self._server is not None:
            self._server.close()
            self._close_all(reset=True)
            await self._server.wait_closed()
            self._server = None

    async def heal(self) -> None:
        """All faults off; listens again on the same port if it refused."""
        self._delay_s = 0.0
        self._flow.set()
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _close(writer, reset=True)
            return
        pair = (writer, up_writer)
        self._pairs.add(pair)
        for source, sink in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink, pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        try:
            while chunk := await source.read(CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flow.wait()
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass  # either side broke the connection: the pair is closed below, which is what the other side must see
        finally:
            self._pairs.discard(pair)
            for writer in pair:
                _close(writer, reset=False)

    def _close_all(self, *, reset: bool) -> None:
        for pair in tuple(self._pairs):
            for writer in pair:
                _close(writer, reset=reset)
        self._pairs.clear()


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset and not writer.transport.is_closing():
        with contextlib.suppress(OSError):  # the peer may have closed it first
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        writer.transport.abort()
    else:
        writer.close()
