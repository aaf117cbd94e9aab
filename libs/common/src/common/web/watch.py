"""The requests that are being answered: how many, and which take too long."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from common.runtime.clock import monotonic

LOOK_EVERY_S = 0.5


class Watch:
    """Cancels requests that pass their time limit.

    One look at all of them twice a second costs a busy server less than a timer for each.
    """

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._running: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def enter(self, task: "asyncio.Task[object]", started: float) -> None:
        """A request begins, at this reading of `monotonic`; infinity: it has no limit."""
        self._running[task] = started

    def leave(self, task: "asyncio.Task[object]") -> None:
        """It has ended."""
        self._running.pop(task, None)
        if self._late:
            self._late.discard(task)

    def timed_out(self, task: "asyncio.Task[object]") -> bool:
        """Return whether the cancellation that the task just got was ours; if so it is taken back."""
        if task not in self._late:
            return False
        self._late.discard(task)
        return task.uncancel() == 0

    def look(self, now: float) -> int:
        """Cancel what began longer ago than the limit; returns how many."""
        if self._limit_s is None:
            return 0
        late = [task for task, started in self._running.items() if now - started > self._limit_s]
        for task in late:
            del self._running[task]
            self._late.add(task)
            task.cancel()
        return len(late)

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """As a cleanup context of the app: look until it ends."""
        task = asyncio.create_task(self._keep_looking(), name="request-watch")
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look(monotonic())
