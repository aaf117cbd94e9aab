"""Spend from rate limits: all of them or none."""

from collections.abc import Mapping
from datetime import timedelta

from common.postgres import Pool, transaction
from session_svc.core import limits
from session_svc.core.errors import TooManyAttemptsError
from session_svc.core.limits import Limit
from session_svc.store import limits as stored


async def spend(pool: Pool, wanted: Mapping[str, Limit]) -> None:
    """Take one attempt from each key. Refused by one, nothing is taken from the others.

    Raises:
        TooManyAttemptsError: with the time to wait.

    """
    async with transaction(pool) as db:
        now, times = await stored.lock(db, sorted(wanted))
        decisions = {key: limits.spend(times.get(key), now, limit) for key, limit in wanted.items()}
        refusals = [decision.retry_after for decision in decisions.values() if not decision.granted]
        if refusals:
            raise TooManyAttemptsError(max(refusals, default=timedelta(0)))
        await stored.save(db, {key: decision.tat for key, decision in decisions.items()})
