"""Requests for one key share one task."""

import asyncio

import pytest

from wevion_tokens.runtime.shield import Shield
from wevion_tokens.runtime.single_flight import SingleFlight


class Work:
    """Counts how often it runs, and waits for a word."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        await self.go.wait()
        return self.runs


async def test_those_who_ask_while_it_runs_share_it_and_the_next_one_starts_anew() -> None:
    flights: SingleFlight[str, int] = SingleFlight(Shield())
    work = Work()
    waiting = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert await flights.run("a", work) == 2


async def test_different_keys_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[str, int] = SingleFlight(Shield())
    waits, works = Work(), Work()
    works.go.set()
    waiting = asyncio.create_task(flights.run("a", waits))
    assert await flights.run("b", works) == 1
    waits.go.set()
    assert await waiting == 1


async def test_a_waiter_that_goes_away_cancels_nothing() -> None:
    shield = Shield()
    flights: SingleFlight[str, int] = SingleFlight(shield)
    work = Work()
    first, second = (asyncio.create_task(flights.run("a", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    work.go.set()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await shield.drain(1) == 0


async def test_a_failure_reaches_everyone_who_waits_and_is_not_kept() -> None:
    flights: SingleFlight[str, int] = SingleFlight(Shield())

    async def fails() -> int:
        raise LookupError

    found = await asyncio.gather(*(flights.run("a", fails) for _ in range(2)), return_exceptions=True)
    assert [type(error) for error in found] == [LookupError, LookupError]

    async def works() -> int:
        return 1

    assert await flights.run("a", works) == 1
