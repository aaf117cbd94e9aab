"""Many small writes as few statements: what arrives while one commit is under way goes with the next.

A lone write goes at once. Only when the last batch had company does the next one linger for a few milliseconds, so
that under load a commit carries many: its price in round trips and statement set-up is by the batch, not by the item.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from common.runtime.errors import RetryableError

BUSY = 4
"""A batch of this many says that more are coming."""

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Collects items and hands them to `write` in batches of at most `limit`, one batch at a time.

    `write` returns one result per item, in order. When a batch fails, each of its items is tried alone once, so that
    one bad item does not fail its neighbours; but not when the database is away, where each would wait as long again.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, limit: int = 128, linger_s: float = 0.0
    ) -> None:
        self._write = write
        self._limit = limit
        self._linger_s = linger_s
        self._busy = False
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return the item's own result, when its batch is written."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # let everything that became ready in this turn of the loop come along
        while self._waiting:
            if self._busy and len(self._waiting) < self._limit // 2:
                await asyncio.sleep(self._linger_s)
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            self._busy = len(batch) >= BUSY
            await self._write_batch(batch)

    async def _write_batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except RetryableError as error:
            for _, future in batch:
                _fail(future, error)
            return
        except Exception as error:  # noqa: BLE001 - the error belongs to whoever waits for the item
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for entry in batch:
                await self._write_batch([entry])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def _fail(future: "asyncio.Future[R]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
