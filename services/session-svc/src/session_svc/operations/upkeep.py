"""What has to happen though nobody calls: sessions run out, are forgotten by verifiers, and are deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from common.outbox import enqueue_tombstone
from common.postgres import transaction, translate_errors
from session_svc.core import session as life
from session_svc.operations import state
from session_svc.operations.deps import Deps
from session_svc.store import devices, invitations, limits, resets, sessions

BATCH = 500
KEEP_ENDED_FOR = timedelta(days=30)
"""How long a browser that shows an old cookie is told why its session ended."""
KEEP_RESETS_FOR = timedelta(days=30)
KEEP_INVITATIONS_FOR = timedelta(days=30)
"""How long the link of an ended invitation still says what became of it."""
KEEP_DEVICES_FOR = timedelta(days=400)
"""As long as browsers keep the cookie."""
TOKEN_STATE = "token.state"  # noqa: S105  a topic


@dataclass(frozen=True, slots=True)
class UpkeepStatus:
    """What one round did."""

    expired: int = 0
    purged: int = 0
    deleted: int = 0
    more: bool = False


async def expire_due(deps: Deps, now: datetime) -> UpkeepStatus:
    """Say that sessions whose time ran out are over. They were refused from that moment on already."""
    async with state.transition(deps) as tx:
        overdue = await sessions.lock_overdue(tx.db, now, BATCH)
        await state.record(tx, [life.expired(one, now) for one in overdue], now)
    return UpkeepStatus(expired=len(overdue), more=len(overdue) == BATCH)


async def purge_ended(deps: Deps, now: datetime) -> UpkeepStatus:
    """Take sessions whose last JWT is dead out of the compacted topic, then forget what nobody asks about."""
    # Twice the skew: the verifier's clock may be behind ours, and the JWT may have been minted ahead of it.
    dead_before = now - deps.lifetimes.jwt - 2 * deps.lifetimes.skew
    async with transaction(deps.pool) as db:
        ended = await sessions.lock_unpurged(db, dead_before, BATCH)
        for one in ended:
            await enqueue_tombstone(db, topic=TOKEN_STATE, key=str(one.session_id), version=one.version)
        await sessions.mark_purged(db, [one.session_id for one in ended], now)
    with translate_errors():
        deleted = await sessions.delete_old(deps.pool, now - KEEP_ENDED_FOR, BATCH)
        await limits.purge(deps.pool)
        await resets.purge(deps.pool, now - KEEP_RESETS_FOR)
        await devices.purge(deps.pool, now - KEEP_DEVICES_FOR)
        await invitations.purge(deps.pool, now - KEEP_INVITATIONS_FOR)
    return UpkeepStatus(purged=len(ended), deleted=deleted, more=BATCH in {len(ended), deleted})
