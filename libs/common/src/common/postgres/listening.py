"""Hear what others notify (LISTEN), on a connection of its own.

A notification is a hint and never the truth: it can be lost with its connection, and pgbouncer in transaction mode
passes none on. Whoever listens looks by itself from time to time.
"""

import asyncio
from collections.abc import Callable

import asyncpg

from wevion_tokens.postgres import translate_errors

CONNECT_TIMEOUT_S = 10.0
ALIVE_EVERY_S = 30.0
"""A connection through a network that swallows everything looks well; so it is asked for an answer now and then."""


async def listen(dsn: str, channel: str, heard: Callable[[], None], *, application_name: str) -> None:
    """Call `heard` for each notification on `channel`, until cancelled; and once when listening begins.

    Args:
        dsn: the database, directly and not through pgbouncer.
        channel: an identifier.
        heard: is called in the event loop; it must not wait.
        application_name: shown in `pg_stat_activity`.

    Raises:
        RetryableError: the connection was lost, or the server does not answer; whoever supervises this calls it again.

    """
    with translate_errors():
        settings = {"application_name": application_name}
        db = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=settings)
        lost = asyncio.Event()
        try:
            db.add_termination_listener(lambda _: lost.set())
            await db.add_listener(channel, lambda *_: heard())
            heard()  # what was notified while nobody listened
            while not await _set_within(lost, ALIVE_EVERY_S):
                await db.execute("SELECT 1", timeout=CONNECT_TIMEOUT_S)
            raise ConnectionError("the listening connection was lost")
        finally:
            db.terminate()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
