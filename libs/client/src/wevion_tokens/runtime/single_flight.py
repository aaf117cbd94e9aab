"""Single flight: concurrent requests for one key share one task, and no waiter that goes away cancels it."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from wevion_tokens.runtime.shield import Shield

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """At most one task for each key. The tasks belong to a `Shield`, which waits for them at the end."""

    def __init__(self, shield: Shield) -> None:
        self._shield = shield
        self._running: dict[K, asyncio.Task[T]] = {}

    def start(self, key: K, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start `work` as the task of `key`. Whoever asks for the key while it runs joins it."""
        task = self._running[key] = self._shield.start(work)
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the task that runs for `key`; one is made of `work` when there is none."""
        running = self._running.get(key)
        return await asyncio.shield(running if running is not None else self.start(key, work()))

    def _ended(self, key: K, task: "asyncio.Task[T]") -> None:
        if self._running.get(key) is task:
            del self._running[key]
