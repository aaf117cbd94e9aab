import asyncio

import pytest

from common.testing import eventually


async def test_gives_the_first_truthy_value() -> None:
    answers = iter([None, 0, "", "found", "later"])
    assert await eventually(lambda: next(answers)) == "found"


async def test_awaits_an_async_predicate() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, event.set)

    async def is_set() -> bool:
        return event.is_set()

    assert await eventually(is_set) is True


async def test_an_assertion_means_not_yet() -> None:
    seen: list[int] = []

    def third_time() -> list[int]:
        seen.append(len(seen))
        assert len(seen) > 2
        return seen

    assert len(await eventually(third_time)) == 3


async def test_names_what_did_not_happen_and_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"the notice arrived: not true within 0.02 s; last: 0"):
        await eventually(lambda: 0, 0.02, what="the notice arrived")


async def test_other_errors_are_not_swallowed() -> None:
    def broken() -> bool:
        raise KeyError("typo")

    with pytest.raises(KeyError):
        await eventually(broken, 5)
