"""Keeping: an answer is stored before anything else is done with it, however long the database refuses it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from common.postgres import transaction, translate_errors
from common.runtime.batching import Batcher
from common.runtime.errors import Retryable
from common.runtime.retry import Backoff
from common.runtime.shield import Shield
from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core.grant import TokenAnswer
from oauth_svc.operations.deps import Deps
from oauth_svc.store.attempts import Kept
from oauth_svc.store.schedule import Claim

_log = get_logger(__name__)

KEEP_LINGER_S = 0.008
"""How long an answer waits for company under load before it is kept. Until then a crash would lose it."""


class Keeping:
    """One per engine. `poke` wakes the sweep: an answer that was kept late is due at once."""

    def __init__(self, deps: Deps, shield: Shield, poke: Callable[[], None]) -> None:
        self._deps = deps
        self._shield = shield
        self._poke = poke
        self._pending = Batcher(self._write_pending, linger_s=KEEP_LINGER_S)

    async def keep(self, claim: Claim, answer: TokenAnswer) -> None:
        """Store the answer before anything else is done with it.

        With the database away, this process may have the only copy of the only valid refresh token. It goes on trying
        for as long as it lives, past the lease if need be; whoever has the lease then promotes what was kept. The same
        if this process slept past its lease, and somebody else has called the outcome unknown.

        Raises:
            Retryable: the database is away. This refresh is over; the answer is not lost.

        """
        key_id, blob = self._deps.vault.seal_answer(claim.connection_id, claim.workspace_id, claim.epoch, answer)
        kept = (claim.connection_id, claim.epoch, key_id, blob)
        try:
            if not await self._pending.submit(kept):
                await self._keep_late(kept)
        except Retryable:
            _log.warning("answer_waits", provider=claim.provider, connection_id=str(claim.connection_id))
            self.write_later(claim.connection_id, partial(self._keep_late, kept))
            raise

    def write_later(self, connection_id: UUID, write: Callable[[], Awaitable[object]]) -> None:
        """Try until the database takes it. The epoch decides whether it still matters then."""

        async def again() -> None:
            waits, attempt = Backoff(base_s=0.2, cap_s=2.0), 0
            while True:
                attempt += 1
                await asyncio.sleep(waits.delay(attempt, str(connection_id)))
                with suppress(Retryable):
                    await write()
                    return

        self._shield.start(again())

    async def _keep_late(self, kept: Kept) -> None:
        async with transaction(self._deps.pool) as db:
            found = await store.attempts.keep_late(db, kept)
        _log.info("answer_kept_late", connection_id=str(kept[0]), wanted=found)
        self._poke()

    async def _write_pending(self, items: Sequence[Kept]) -> list[bool]:
        with translate_errors():
            async with self._deps.pool.acquire() as db:
                kept = await store.attempts.keep(db, items)
        return [item[0] in kept for item in items]
