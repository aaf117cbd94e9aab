"""Requests that take too long are cancelled, and only those."""

import asyncio

import pytest

from common.web.watch import Watch


async def test_only_what_is_late_is_cancelled() -> None:
    watch = Watch(10)

    async def work() -> str:
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late" if watch.timed_out(task) else "cancelled"
        return "done"

    old, young, endless = (asyncio.create_task(work()) for _ in range(3))
    await asyncio.sleep(0)
    watch.enter(old, 0)
    watch.enter(young, 95)
    watch.enter(endless, float("inf"))
    assert len(watch) == 3
    assert watch.look(100) == 1
    assert await old == "late"
    assert old.cancelling() == 0
    assert watch.look(100) == 0
    young.cancel()
    assert await young == "cancelled"
    watch.leave(young)
    watch.leave(young)
    endless.cancel()
    await asyncio.wait([endless])
    assert len(watch) == 1


async def test_a_shutdown_at_the_same_moment_wins() -> None:
    watch = Watch(1)

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert not watch.timed_out(task)
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    watch.enter(task, 0)
    watch.look(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_without_a_limit_nothing_is_late() -> None:
    assert Watch(None).look(1e9) == 0
