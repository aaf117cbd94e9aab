"""Keeping: an answer is stored before anything else is done with it, however long the database refuses it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from common.postgres import connection, transaction
from common.runtime.batching import Batcher
from common.runtime.errors import RetryableError
from common.runtime.retry import Backoff, retry_until
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

        This process may have the only copy of the only valid refresh token. Whatever the database says (it is away, its
        disk is full, it takes no writes, it ended the statement), this goes on for as long as the process lives, past
        the lease if need be; whoever has the lease then promotes what was kept. The same if this process slept past its
        lease, and somebody else has called the outcome unknown.

        Raises:
            RetryableError: The answer is not stored yet. This refresh is over; the answer is not lost.

        """
        try:
            key_id, blob = self._deps.vault.seal_answer(claim.connection_id, claim.workspace_id, claim.epoch, answer)
            if not await self._pending.submit((claim.connection_id, claim.epoch, key_id, blob)):
                await self._keep_late(claim, answer)
        except Exception as error:
            _log.warning(
                "answer_waits",
                provider=claim.provider,
                connection_id=str(claim.connection_id),
                error=type(error.__cause__ or error).__name__,
            )
            self.write_later(claim.connection_id, partial(self._keep_late, claim, answer))
            raise RetryableError("the answer is not stored yet") from error

    def write_later(self, connection_id: UUID, write: Callable[[], Awaitable[object]]) -> None:
        """Try until the database takes it. The epoch decides whether it still matters then."""
        waits, seed, said = Backoff(base_s=0.2, cap_s=2.0), str(connection_id), ""

        def waiting(error: Exception, _attempt: int) -> None:
            nonlocal said
            if not isinstance(error, RetryableError) and said != (said := type(error).__name__):
                _log.warning("write_waits", connection_id=seed, error=said)

        async def again() -> None:
            await asyncio.sleep(waits.delay(1, seed))  # it has failed a moment ago
            # No error of the database is a reason to give the answer up.
            await retry_until(write, waits, seed=seed, on=(Exception,), waiting=waiting)

        self._shield.start(again())

    async def _keep_late(self, claim: Claim, answer: TokenAnswer) -> None:
        async with transaction(self._deps.pool) as db:
            await self._deps.vault.ready(db, self._deps.clock.now(), workspaces=[claim.workspace_id])
            key_id, blob = self._deps.vault.seal_answer(claim.connection_id, claim.workspace_id, claim.epoch, answer)
            found = await store.attempts.keep_late(db, (claim.connection_id, claim.epoch, key_id, blob))
        _log.info("answer_kept_late", connection_id=str(claim.connection_id), wanted=found)
        self._poke()

    async def _write_pending(self, items: Sequence[Kept]) -> list[bool]:
        async with connection(self._deps.pool) as db:
            kept = await store.attempts.keep(db, items)
        return [item[0] in kept for item in items]
