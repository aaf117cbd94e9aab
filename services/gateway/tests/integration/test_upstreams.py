"""A service behind the gateway that is away, breaks off, or never answers: what is said, and what is asked again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from common.testing.processes.ports import choose_port
from common.web import Problem
from gateway.app import upstream_client
from gateway.proxy import Upstreams

SERVICE = "oauth-svc"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Replica:
    """A server with one manner, which counts what it was asked."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.asked: list[str] = []
        self.url = ""
        self._conversations: set[asyncio.Task[None]] = set()

    def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._conversations.add(asyncio.create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.decode().split(" ")[0])
            await self.manner(reader, writer)
            writer.close()
            await writer.wait_closed()

    async def over(self) -> None:
        """Every conversation has come to its end."""
        await asyncio.gather(*self._conversations)


async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def breaks_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def breaks_off_in_the_middle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-1])


async def never_answers(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()  # until the gateway hangs up


async def speaks_another_language(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


@contextlib.asynccontextmanager
async def replica(manner: Manner) -> AsyncIterator[Replica]:
    made = Replica(manner)
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    try:
        yield made
    finally:
        server.close()
        await made.over()


async def ask(*urls: str, method: str = "GET", retry: bool | None = None, first_byte_s: float = 10.0) -> bytes:
    """One request, by whatever replica has it."""
    async with upstream_client() as http:
        upstreams = Upstreams(http, {SERVICE: urls}, first_byte_s=first_byte_s)
        again = method == "GET" if retry is None else retry
        async with upstreams.request(SERVICE, method, "/x", headers={}, data=None, retry=again) as answer:
            return await answer.read()


async def refusal(*urls: str, method: str = "GET", first_byte_s: float = 10.0) -> Problem:
    with pytest.raises(Problem) as caught:
        await ask(*urls, method=method, first_byte_s=first_byte_s)
    return caught.value


async def test_service_that_refuses_connections_is_named_and_worth_another_try() -> None:
    problem = await refusal(f"http://127.0.0.1:{choose_port()}")

    assert (problem.status, problem.code) == (503, "upstream_unavailable")
    said = problem.document()
    assert (said["service"], said["kind"]) == (SERVICE, "refused")
    assert said["fix"] == "Try again in a few seconds."
    assert problem.headers["Retry-After"] == "2"


@pytest.mark.parametrize("manner", [breaks_off, speaks_another_language])
async def test_service_that_breaks_off_may_have_done_it(manner: Manner) -> None:
    async with replica(manner) as broken:
        problem = await refusal(broken.url, method="POST")

        assert broken.asked == ["POST"]
    assert (problem.status, problem.document()["kind"]) == (502, "broke_off")
    assert "may or may not have been done" in problem.detail


async def test_service_that_never_answers_is_given_up() -> None:
    async with replica(never_answers) as slow:
        problem = await refusal(slow.url, first_byte_s=0.1)

        assert slow.asked == ["GET"]
    assert (problem.status, problem.document()["kind"]) == (504, "timeout")


async def test_part_of_an_answer_is_not_taken_for_the_whole() -> None:
    async with replica(breaks_off_in_the_middle) as broken:
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(broken.url)


async def test_another_replica_has_what_nobody_saw() -> None:
    async with replica(answers) as good:
        away = f"http://127.0.0.1:{choose_port()}"

        for _ in range(4):  # whoever's turn it is
            assert await ask(away, good.url, method="POST") == b"ok"

        assert good.asked == ["POST"] * 4


async def test_what_may_have_been_done_is_asked_again_only_if_it_may_be() -> None:
    async with replica(breaks_off) as broken, replica(answers) as good:
        urls = (good.url, broken.url)  # the second one's turn is first

        assert await ask(*urls) == b"ok"
        assert await ask(*urls, method="POST", retry=True) == b"ok"
        problem = await refusal(*urls, method="POST")

        # GET is idempotent, so the HTTP client had tried its connection a second time by itself (RFC 9110, 9.2.2).
        assert (problem.status, broken.asked) == (502, ["GET", "GET", "POST", "POST"])
        assert good.asked == ["GET", "POST"]
