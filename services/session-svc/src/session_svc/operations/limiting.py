"""Spend from rate limits that all replicas share: all of them or none."""

from collections.abc import Mapping
from datetime import timedelta

from common.postgres import Pool, transaction
from common.runtime.rate_limit import RateLimit
from session_svc.core.errors import TooManyAttemptsError
from session_svc.store import limits as stored


async def spend(pool: Pool, wanted: Mapping[str, RateLimit]) -> None:
    """Take one attempt from each key. Refused by one, nothing is taken from the others.

    Raises:
        TooManyAttemptsError: with the time to wait.

    """
    async with transaction(pool) as db:
        now, times = await stored.lock(db, sorted(wanted))
        wait_s = max((limit.wait_s(times.get(key), now) for key, limit in wanted.items()), default=0.0)
        if wait_s > 0:
            raise TooManyAttemptsError(timedelta(seconds=wait_s))
        await stored.save(db, {key: limit.taken(times.get(key), now) for key, limit in wanted.items()})
