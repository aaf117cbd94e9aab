"""Long-lived tasks that are watched: one that dies is started again, and says so."""

import asyncio
from collections.abc import Awaitable, Callable

from wevion_tokens.runtime.clock import monotonic
from wevion_tokens.runtime.retry import Backoff
from wevion_tokens.telemetry.logs import get_logger

_log = get_logger(__name__)


async def supervise(name: str, work: Callable[[], Awaitable[None]], backoff: Backoff | None = None) -> None:
    """Run `work` until it returns; when it raises, log the error, wait and run it again. Ends by cancellation.

    By its own cancellation only: a library that cancels a task of its own and lets the CancelledError out must not end
    work that nobody asked to end, and that nobody would miss.
    """
    waits = backoff or Backoff(base_s=0.2, cap_s=10)
    attempt = 0
    while True:
        started = monotonic()
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:  # whatever it was, the work has to go on
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            # A long healthy run earns a fresh start: only failures in a row make the waits grow.
            attempt = 1 if monotonic() - started > waits.cap_s else attempt + 1
            delay = waits.delay(attempt, name)
            _log.warning("task_failed", task=name, error=describe(error), attempt=attempt, retry_in_s=round(delay, 2))
            await asyncio.sleep(delay)
        else:
            return


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def describe(error: BaseException) -> str:
    """Return the error's type and text, and those of its causes, in one line."""
    said: list[str] = []
    current: BaseException | None = error
    while current is not None and len(said) < 4:  # noqa: PLR2004  deeper causes say nothing new
        said.append(f"{type(current).__name__}: {current}" if str(current) else type(current).__name__)
        current = current.__cause__
    return " <- ".join(said)


async def cancel(*tasks: "asyncio.Task[None]", within_s: float = 10.0) -> None:
    """Cancel and wait, at most `within_s`; an error that a task ends with is not ours to raise any more.

    Cancelled again every second: a client library can swallow a cancellation while its server is away, and a task that
    did not hear it would keep the process from ending.
    """
    deadline = monotonic() + within_s
    pending = set(tasks)
    while pending and monotonic() < deadline:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=min(1.0, max(deadline - monotonic(), 0.0)))
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
    if pending:
        _log.error("tasks_would_not_end", tasks=sorted(task.get_name() for task in pending))
