"""Platform incidents: one that lasts pauses the rules on that platform's accounts, and its end resumes them."""

from datetime import datetime

from common.contracts import PlatformIncidentV1
from common.postgres import Db, transaction
from rule_pauser import metrics
from rule_pauser.core.incidents import judge, lasting
from rule_pauser.operations.deps import Deps
from rule_pauser.store import incidents, settlements


async def hear_incident(db: Db, body: PlatformIncidentV1, at: datetime, now: datetime) -> bool:
    """Store what an event says of an incident; False if it is old news. The end of one settles the rules it paused."""
    await incidents.lock(db)
    held = await incidents.of_provider(db, body.provider)
    after = judge(held, body)
    if after is None:
        return False
    await incidents.put(db, body.provider, after)
    if held is not None and held.pausing_at is not None and after.pausing_at is None:
        await settlements.open_for_provider(
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
                await settlements.open_for_provider(db, provider, why=f"{provider}: incident", fact_at=now, now=now)
        metrics.INCIDENTS.set(await incidents.count_pausing(db))
    if began:
        deps.wake_settling()
    return len(began)
