"""What every service counts."""

import asyncio
import sys

from common.telemetry import metrics


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # asked outside of an event loop, where no task is


LOOP_LAG = metrics.gauge("wevion_event_loop_lag_seconds", "How late the event loop ran its last timer.")
TASKS = metrics.gauge(
    "wevion_asyncio_tasks", "Tasks of the event loop now: one for each request, and what runs for ever.", read=_tasks
)
ALLOCATED_BLOCKS = metrics.gauge(
    "wevion_python_allocated_blocks",
    "Blocks of memory that Python objects hold. A leak shows here long before it shows in the process's size.",
    read=sys.getallocatedblocks,
)
