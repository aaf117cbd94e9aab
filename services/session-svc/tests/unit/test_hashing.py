"""Passwords are checked in threads behind a queue with an end, and nobody's password takes as long as a wrong one."""

import asyncio
import statistics
from collections.abc import Iterator
from time import perf_counter

import pytest

from session_svc.core.errors import Busy
from session_svc.operations.hashing import PasswordHasher


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(threads=1, waiting=2)
    yield made
    made.close()


async def test_password_fits_its_hash_and_no_other(hasher: PasswordHasher) -> None:
    known = await hasher.hash("correct horse")

    assert known.startswith("$argon2id$")
    assert "correct" not in known
    assert await hasher.check(known, "correct horse")
    assert not await hasher.check(known, "wrong horse")
    assert not await hasher.check(None, "correct horse")
    assert not await hasher.check("no hash at all", "correct horse")


async def test_unknown_user_takes_as_long_as_a_wrong_password(hasher: PasswordHasher) -> None:
    known = await hasher.hash("correct horse")
    times: dict[str | None, list[float]] = {known: [], None: []}
    for _ in range(9):
        for of, found in times.items():
            started = perf_counter()
            await hasher.check(of, "wrong horse")
            found.append(perf_counter() - started)

    ratio = statistics.median(times[None]) / statistics.median(times[known])

    assert 0.4 < ratio < 2.5


async def test_storm_is_turned_away_and_the_loop_goes_on(hasher: PasswordHasher) -> None:
    known = await hasher.hash("correct horse")

    answers = await asyncio.gather(*(hasher.check(known, "x") for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(answer, Busy) for answer in answers) == 7
    assert await hasher.check(known, "correct horse")


async def test_old_parameters_are_noticed(hasher: PasswordHasher) -> None:
    weaker = PasswordHasher(memory_kib=8, passes=1)
    old = await weaker.hash("correct horse")
    weaker.close()

    assert hasher.outdated(old)
    assert not hasher.outdated(await hasher.hash("correct horse"))
    assert await hasher.check(old, "correct horse")
