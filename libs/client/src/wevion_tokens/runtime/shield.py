"""Work that goes on when whoever waits for it goes away: an answer that was asked for is always stored."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from wevion_tokens.runtime.clock import monotonic

T = TypeVar("T")


class Shield:
    """Owns tasks that must not be cancelled by their waiters, and waits for them at the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result; when the caller is cancelled, the work is not."""
        return await asyncio.shield(self.start(work))

    async def drain(self, within_s: float) -> int:
        """Wait for what is under way, and for what that begins, up to a limit; how much is not finished by then."""
        deadline = monotonic() + within_s
        while self._tasks and (left_s := deadline - monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        return len(self._tasks)
