"""Wait for something that another process makes true, with a deadline and a useful failure."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from common.runtime.clock import monotonic

T = TypeVar("T")

#: First pause between two looks; it doubles up to `MAX_PAUSE_S`, so that a quick answer is seen quickly
#: and a slow one does not keep a core busy.
FIRST_PAUSE_S = 0.005
MAX_PAUSE_S = 0.1


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout_s: float = ..., *, what: str = ...) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout_s: float = ..., *, what: str = ...) -> T: ...
async def eventually(predicate: Callable[[], Any], timeout_s: float = 10.0, *, what: str = "") -> Any:
    """Returns the predicate's first truthy value.

    The predicate may be plain or async, and may assert: an `AssertionError` means "not yet". When the time
    is up the last assertion, or the last falsy value, is in the failure, with `what` as its headline.
    """
    deadline = monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    last: object = None
    while True:
        cause: AssertionError | None = None
        try:
            result = predicate()
            value = await result if inspect.isawaitable(result) else result
        except AssertionError as exc:
            cause, last = exc, exc
        else:
            if value:
                return value
            last = value
        if monotonic() >= deadline:
            headline = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{headline}: not true within {timeout_s:g} s; last: {last!r}") from cause
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, MAX_PAUSE_S)
