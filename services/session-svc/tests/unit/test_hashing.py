"""Passwords are checked in threads behind a queue with an end, and nobody's password is as much work as a wrong one."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters

from session_svc.core.errors import BusyError
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


async def test_unknown_user_is_the_same_work_as_a_wrong_password(hasher: PasswordHasher) -> None:
    known = await hasher.hash("correct horse")

    # The hash that is checked when there is none costs what a real one costs...
    assert extract_parameters(hasher._nobody) == extract_parameters(known)
    # ...and is checked in the same threads, behind the same queue: whoever is in it keeps the next one out.
    for first, second in ((known, None), (None, known), (None, None)):
        narrow = PasswordHasher(threads=1, waiting=0, memory_kib=64, passes=1)
        answers = await asyncio.gather(
            narrow.check(first, "wrong horse"), narrow.check(second, "wrong horse"), return_exceptions=True
        )
        narrow.close()
        assert answers[0] is False
        assert isinstance(answers[1], BusyError)


async def test_storm_is_turned_away_and_the_loop_goes_on(hasher: PasswordHasher) -> None:
    known = await hasher.hash("correct horse")

    answers = await asyncio.gather(*(hasher.check(known, "x") for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(answer, BusyError) for answer in answers) == 7
    assert await hasher.check(known, "correct horse")


async def test_old_parameters_are_noticed(hasher: PasswordHasher) -> None:
    weaker = PasswordHasher(memory_kib=8, passes=1)
    old = await weaker.hash("correct horse")
    weaker.close()

    assert hasher.outdated(old)
    assert not hasher.outdated(await hasher.hash("correct horse"))
    assert await hasher.check(old, "correct horse")
