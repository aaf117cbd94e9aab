"""Slots count calls; grants wait ahead of them, in bounded number."""

import asyncio

from oauth_svc.operations.engine.slots import Slots

FAST = 1000.0


def test_as_many_wait_as_call_when_the_platform_allows_it() -> None:
    assert Slots("unit", 4, FAST).room == 8


def test_nothing_waits_where_a_call_in_a_tenth_of_a_second_would_be_too_much() -> None:
    assert Slots("unit", 4, 5.0).room == 4
    assert Slots("unit", 4, 20.0).room == 6


async def test_an_answer_frees_the_slot_before_it_is_settled() -> None:
    slots = Slots("unit", 1, FAST)
    first, second = slots.hold(), slots.hold()
    await first.call(wait=True)
    waiting = asyncio.create_task(second.call(wait=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.answered()
    await waiting
    assert slots.room == 1, "the answered one makes room for one more"
    first.end()
    assert slots.room == 1, "and its end for none"
    second.end()
    assert slots.room == 2


async def test_answers_that_pile_up_stop_the_claims() -> None:
    slots = Slots("unit", 2, FAST)
    for _ in range(6):
        one = slots.hold()
        await one.call(wait=True)
        one.answered()
    assert slots.room == 0


async def test_a_call_that_must_not_wait_goes_over_the_limit_and_takes_no_slot_with_it() -> None:
    slots = Slots("unit", 1, FAST)
    first, urgent, third = slots.hold(), slots.hold(), slots.hold()
    await first.call(wait=True)
    await urgent.call(wait=False)
    urgent.answered()
    waiting = asyncio.create_task(third.call(wait=True))
    await asyncio.sleep(0)
    assert not waiting.done(), "the slot is still the first one's"
    first.end()
    await waiting


async def test_an_end_counts_once_however_far_the_refresh_came() -> None:
    slots = Slots("unit", 2, FAST)
    never_called, failed, answered = slots.hold(), slots.hold(), slots.hold()
    await failed.call(wait=True)
    await answered.call(wait=True)
    answered.answered()
    answered.answered()
    for one in (never_called, failed, answered):
        one.end()
    assert slots.room == 4
    assert slots.worth_a_claim
