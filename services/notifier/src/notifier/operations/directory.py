"""Keep the people of each workspace at hand, so that a notice never waits for another service."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import transaction
from common.runtime.errors import Permanent, Retryable
from common.runtime.retry import Backoff
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger
from notifier import metrics
from notifier.clients.session_svc import PeopleDirectory
from notifier.core.plans import PeopleLearned
from notifier.operations import telling
from notifier.operations.deps import Deps
from notifier.store import people

_log = get_logger(__name__)

BATCH = 100
PARALLEL = 8
LEASE = timedelta(seconds=60)
_WAITS = Backoff(base_s=1, cap_s=300)


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """What one round did."""

    fetched: int
    failed: int
    more: bool


async def refresh(deps: Deps, now: datetime) -> RefreshStatus:
    """Fetch the workspaces that are due. What cannot be fetched stays as it was (stale on error)."""
    directory = deps.people
    if directory is None:
        return RefreshStatus(0, 0, more=False)
    async with transaction(deps.pool) as connection:
        due = await people.claim_due(connection, now, lease=LEASE, limit=BATCH)
    slots = asyncio.Semaphore(PARALLEL)

    async def one(workspace_id: UUID, failures: int) -> bool:
        async with slots:
            return await _fetch(deps, directory, workspace_id, failures, now)

    results = await asyncio.gather(*(one(workspace_id, failures) for workspace_id, failures in due))
    if any(results):
        deps.committed()
    return RefreshStatus(sum(results), len(results) - sum(results), more=len(due) == BATCH)


async def _fetch(deps: Deps, directory: PeopleDirectory, workspace_id: UUID, failures: int, now: datetime) -> bool:
    try:
        found = await directory.people(workspace_id)
    except (Retryable, Permanent) as error:
        metrics.PEOPLE_FAILURES.inc()
        _log.warning("people_not_fetched", failures=failures + 1, error=describe(error))
        wait = timedelta(seconds=_WAITS.delay(failures + 1, str(workspace_id)))
        async with transaction(deps.pool) as connection:
            await people.failed(connection, workspace_id, now + wait)
        return False
    async with transaction(deps.pool) as connection:
        await people.replace(connection, workspace_id, found, now=now, next_at=now + deps.directory_fresh)
        await telling.take(connection, deps, PeopleLearned(workspace_id), now)
    return True
