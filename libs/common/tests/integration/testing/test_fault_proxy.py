"""The proxy does to a connection what it is told, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from common.testing import FaultProxy


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, proxy: FaultProxy) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def ask(self, timeout_s: float = 5) -> bytes:
        self.writer.write(b"hello\n")
        async with asyncio.timeout(timeout_s):
            return await self.reader.readline()

    def close(self) -> None:
        self.writer.close()


async def test_passes_everything_through_when_healthy(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    assert await client.ask() == b"hello\n"
    assert proxy.accepted == 1
    client.close()


async def test_delays(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.delay(0.05)
    began = asyncio.get_running_loop().time()
    assert await client.ask() == b"hello\n"
    assert asyncio.get_running_loop().time() - began >= 0.1  # there and back
    client.close()


async def test_cut_ends_the_connection_and_welcomes_a_new_one(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    await client.ask()
    proxy.cut()
    assert await client.reader.read() == b""
    client.close()
    again = await Client.connect(proxy)
    assert await again.ask() == b"hello\n"
    again.close()


async def test_reset_is_a_reset(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    await client.ask()
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await client.reader.read()
    client.close()


async def test_blackhole_swallows_until_healed(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.blackhole()
    with pytest.raises(TimeoutError):
        await client.ask(timeout_s=0.1)
    await proxy.heal()
    async with asyncio.timeout(5):
        assert await client.reader.readline() == b"hello\n"
    client.close()


async def test_refuses_like_a_stopped_server_and_comes_back_on_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    await proxy.heal()
    assert proxy.port == port
    client = await Client.connect(proxy)
    assert await client.ask() == b"hello\n"
    client.close()
