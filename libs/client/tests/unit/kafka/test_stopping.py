"""Stopping a client of aiokafka whose broker is away: whatever its `stop()` does, the caller goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wevion_tokens.kafka.stopping import stop_client


class Client:
    """What `stop_client` uses of aiokafka's clients."""

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self.stop = stop


async def well() -> None:
    return


async def lets_its_own_cancellation_out() -> None:
    fetch = asyncio.create_task(asyncio.sleep(60))
    fetch.cancel()
    await fetch


async def fails() -> None:
    raise OSError("the broker is away")


async def never_ends() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [well, lets_its_own_cancellation_out, fails, never_ends])
async def test_the_caller_goes_on(stop: Callable[[], Awaitable[None]]) -> None:
    client: Any = Client(stop)
    async with asyncio.timeout(5):
        await stop_client(client, 0.05)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_one_that_swallows_its_cancellation_is_left_behind() -> None:
    swallowed = asyncio.Event()
    end = asyncio.Event()

    async def stop() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
            await end.wait()

    client: Any = Client(stop)
    async with asyncio.timeout(5):
        await stop_client(client, 0.05)
        await swallowed.wait()
    end.set()


async def test_a_caller_that_is_cancelled_is_cancelled() -> None:
    client: Any = Client(never_ends)
    caller = asyncio.create_task(stop_client(client, 60))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
