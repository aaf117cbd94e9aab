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
LAST_SUCCESS = metrics.gauge(
    "wevion_periodic_last_success_timestamp_seconds",
    "When periodic work last succeeded; before its first success, when the service started.",
    ("work",),
)
LONGEST_GAP = metrics.gauge(
    "wevion_periodic_longest_gap_seconds", "The most that lies between two successes of work that is well.", ("work",)
)
FAILURES = metrics.gauge(
    "wevion_periodic_failures_in_a_row", "Activations that have failed since the last success.", ("work",)
)
CLOCK_OFFSET = metrics.gauge(
    "wevion_clock_offset_seconds", "How far this process's clock is ahead of the database's; below zero, behind."
)
