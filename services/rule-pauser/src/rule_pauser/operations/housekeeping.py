"""Delete what can no longer matter."""

from datetime import datetime

from rule_pauser.operations.deps import Deps
from rule_pauser.store import housekeeping


async def tidy(deps: Deps, now: datetime) -> None:
    """Delete what is older than the service keeps it, a batch at a time."""
    while await housekeeping.tidy(deps.pool, now) > 0:
        pass
