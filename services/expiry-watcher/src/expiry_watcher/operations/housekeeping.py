"""Delete what can no longer matter."""

from datetime import datetime

from expiry_watcher.operations.deps import Deps
from expiry_watcher.store import housekeeping


async def tidy(deps: Deps, now: datetime) -> None:
    """Delete what is older than the service keeps it, a batch at a time."""
    while await housekeeping.tidy(deps.pool, now) > 0:
        pass
