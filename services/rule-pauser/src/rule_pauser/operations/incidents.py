"""Platform incidents: one that lasts pauses the rules on that platform's accounts, and its end resumes them."""

from datetime import datetime

from common.contracts import PlatformIncidentV1
from common.postgres import Db, transaction
from rule_pauser import metrics
from rule_pauser.core.incidents import lasting, next_incident
from rule_pauser.operations.deps import Deps
from rule_pauser.store import incidents, reconciliations


async def hear_incident(db: Db, body: PlatformIncidentV1, at: datetime, now: datetime) -> bool:
    """Store what an event says of an incident. The end of an incident reconciles the rules that it paused.

    Args:
        db: the connection or the transaction to use.
        body: the event.
        at: when it happened, in UTC.
        now: the present time, in UTC.

    Returns:
        Whether the event was news.

    """
    await incidents.lock(db)
    known = await incidents.of_provider(db, body.provider)
    after = next_incident(known, body)
    if after is None:
        return False
    await incidents.put(db, body.provider, after)
    if known is not None and known.pausing_at is not None and after.pausing_at is None:
        await reconciliations.open_for_provider(
            db, body.provider, why=f"{body.provider}: incident over", fact_at=at, now=now
        )
    return True


async def pause_for_incidents(deps: Deps, now: datetime) -> int:
    """Pause rules for the incidents that have lasted long enough by now; returns how many began to. Idempotent."""
    began: list[str] = []
    async with transaction(deps.pool) as db:
        if deps.incident_pause_after is not None and await incidents.not_pausing(db):
            await incidents.lock(db)
            waiting = await incidents.not_pausing(db)
            began = [name for name, item in waiting.items() if lasting(item, deps.incident_pause_after, now)]
            await incidents.begin_pausing(db, began, now)
            for provider in began:
                await reconciliations.open_for_provider(db, provider, why=f"{provider}: incident", fact_at=now, now=now)
        metrics.INCIDENTS.set(await incidents.count_pausing(db))
    if began:
        deps.wake_reconciling()
    return len(began)
