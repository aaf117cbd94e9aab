"""Keep the people of each workspace at hand, so that a notice never waits for another service."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import transaction
from common.runtime.errors import PermanentError, RetryableError
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
SURE_FOR = timedelta(seconds=2)
"""A list that is younger than this is not asked for again before a message leaves."""
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
    async with transaction(deps.pool) as db:
        due = await people.claim_due(db, now, lease=LEASE, limit=BATCH)
    slots = asyncio.Semaphore(PARALLEL)

    async def one(workspace_id: UUID, failures: int) -> bool:
        async with slots:
            return await _fetch(deps, directory, workspace_id, failures, now)

    results = await asyncio.gather(*(one(workspace_id, failures) for workspace_id, failures in due))
    if any(results):
        deps.committed()
    return RefreshStatus(sum(results), len(results) - sum(results), more=len(due) == BATCH)


async def confirm(deps: Deps, workspace_ids: Collection[UUID], now: datetime) -> frozenset[UUID]:
    """Look, right before messages leave, who still belongs to these workspaces.

    A list that was fetched within the last seconds counts as looked at. While session-svc does not answer, an older one
    is believed for `people_stale`, and not for longer: a mail names accounts, and its reader may have left.

    Args:
        deps: the parts of the service.
        workspace_ids: whose members are about to be written to.
        now: the present.

    Returns:
        The workspaces whose people cannot be vouched for: nothing should leave to them now.

    """
    directory = deps.people
    if directory is None:
        return frozenset()
    async with transaction(deps.pool) as db:
        fetched = await people.fetched_at(db, workspace_ids)
    never = datetime.min.replace(tzinfo=now.tzinfo)
    old = sorted(space for space in workspace_ids if fetched.get(space, never) < now - SURE_FOR)
    if not old or not await _fetch(deps, directory, old[0], 0, now):
        unanswered = old
    else:
        slots = asyncio.Semaphore(PARALLEL)

        async def one(workspace_id: UUID) -> bool:
            async with slots:
                return await _fetch(deps, directory, workspace_id, 0, now)

        answered = await asyncio.gather(*(one(workspace_id) for workspace_id in old[1:]))
        unanswered = [space for space, answer in zip(old[1:], answered, strict=True) if not answer]
    return frozenset(space for space in unanswered if fetched.get(space, never) < now - deps.people_stale)


async def _fetch(deps: Deps, directory: PeopleDirectory, workspace_id: UUID, failures: int, now: datetime) -> bool:
    try:
        found = await directory.people(workspace_id)
    except (RetryableError, PermanentError) as error:
        metrics.PEOPLE_FAILURES.inc()
        _log.warning("people_not_fetched", failures=failures + 1, error=describe(error))
        wait = timedelta(seconds=_WAITS.delay(failures + 1, str(workspace_id)))
        async with transaction(deps.pool) as db:
            await people.failed(db, workspace_id, now + wait)
        return False
    async with transaction(deps.pool) as db:
        await people.replace(db, workspace_id, found, now=now, next_at=now + deps.directory_fresh)
        await telling.take(db, deps, PeopleLearned(workspace_id), now)
    return True
