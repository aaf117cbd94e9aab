"""Hand-outs of access tokens: noted in memory, written in batches, so that serving a token costs no write."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.postgres import Pool, connection
from oauth_svc import store


class Uses:
    """The last hand-out of each account since the last flush. A killed process makes a gap a few seconds longer."""

    def __init__(self) -> None:
        self._noted: dict[UUID, datetime] = {}

    def note(self, account_id: UUID, now: datetime) -> None:
        self._noted[account_id] = now

    def refused(self, account_ids: Sequence[UUID]) -> None:
        """What was handed out did not work."""
        for account_id in account_ids:
            self._noted.pop(account_id, None)

    async def flush(self, pool: Pool) -> int:
        """Write what was noted; how many accounts."""
        noted, self._noted = self._noted, {}
        if noted:
            async with connection(pool) as db:
                await store.gaps.note_served(db, noted)
        return len(noted)
