"""The refresh engine: claim, one call, keep the answer, settle.

Nothing here holds a database connection while a provider is called, and nothing presents a credential without a
committed attempt row.

A life of one refresh, with what a SIGKILL after each step leaves behind:

1. `claiming` leases the row                                     -> after the lease, the next holder starts anew
2. `calling` commits the attempt as `sent`                       -> the next holder finds it open (`recovery`)
3. one call to the provider                                      -> outcome unknown: the provider's rule decides
4. `keeping` keeps the sealed answer with the attempt            -> the next holder promotes it without a call
5. `settling` promotes, plans, tells, and ends the lease         -> done
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import UUID

from common.platforms.errors import Failure
from common.postgres import connection, transaction
from common.runtime.batching import Batcher
from common.runtime.errors import RetryableError
from common.runtime.shield import Shield
from common.runtime.single_flight import SingleFlight
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core import refresh as rules
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.calling import Calls
from oauth_svc.operations.engine.claiming import Claims
from oauth_svc.operations.engine.keeping import Keeping
from oauth_svc.operations.engine.recovery import Recovery
from oauth_svc.operations.engine.settling import Result, Settling
from oauth_svc.operations.engine.slots import Slot, Slots
from oauth_svc.operations.status import SweepStatus
from oauth_svc.providers.base import Provider
from oauth_svc.store.schedule import Claim

_log = get_logger(__name__)

SETTLE_LINGER_S = 0.03
"""How long a settlement waits for company under load. It loses nothing by waiting, and its ten statements cost the
same for one and for many."""


def _nothing() -> None:
    """Nobody to wake."""


class Engine:
    """One per process. Within the process one task refreshes a connection at a time; across processes, the lease."""

    def __init__(self, deps: Deps, breakers: Breakers) -> None:
        self._deps = deps
        self.breakers = breakers
        self._shield = Shield()
        self._flights: SingleFlight[UUID, bool] = SingleFlight(self._shield)
        self._slots: dict[str, Slots] = {}
        self._backlog: set[str] = set()
        self.claims = Claims(deps, breakers)
        self._recovery = Recovery(deps)
        self.keeping = Keeping(deps, self._shield, self._poke_late)
        self.calls = Calls(deps, self.keeping, self._wake)
        self._settling = Batcher(Settling(deps, breakers).settle, linger_s=SETTLE_LINGER_S)
        self._poke: Callable[[], None] = _nothing
        self._stopped = False

    async def sweep(self) -> SweepStatus:
        """Claim what is due at every provider with a free slot, and start it. Returns without waiting for the calls."""
        if self._stopped:
            return SweepStatus(0)
        now = self._deps.clock.now()
        free = [p.profile.provider for p in self._deps.providers if self._slots_of(p.profile.provider).room > 0]
        status = SweepStatus(0)
        for provider_id in [name for name in free if name in self._backlog]:
            status += await self._sweep_one(provider_id, now)
        asked = [name for name in free if name not in self._backlog]
        if asked:
            async with connection(self._deps.pool) as db:
                due = await store.schedule.providers_due(db, asked, now)
            for provider_id in due:
                status += await self._sweep_one(provider_id, now)
        return status

    async def _sweep_one(self, provider_id: str, now: datetime) -> SweepStatus:
        wanted = self._slots_of(provider_id).room
        claims = await self.claims.due(self._deps.providers[provider_id].profile, wanted, now)
        for claim in claims:
            self.start(claim)
        full = len(claims) >= wanted
        if full:
            self._backlog.add(provider_id)  # more is due: the next sweep need not ask
        else:
            self._backlog.discard(provider_id)
        return SweepStatus(len(claims), more=full)

    def start(self, claim: Claim) -> None:
        """Refresh what was claimed, without waiting for it. The lease says that nobody else does, here or elsewhere."""
        slot = self._slots_of(claim.provider).hold()
        self._flights.start(claim.connection_id, self._refresh(claim, slot, wait=True))

    def when_free(self, poke: Callable[[], None]) -> None:
        """Whom to wake when calls have ended and slots are free again."""
        self._poke = poke

    async def refresh_now(self, connection_id: UUID, *, taken: bool = False) -> bool:
        """Refresh one connection in flight, whatever its back-off says.

        False when nothing was asked: somebody else holds the lease, or the platform's limits or trouble forbid it.
        It passes the back-off, but never the lease, the bucket or the breaker (I10). `taken`: the caller has taken
        the call out of the bucket already.
        """
        return await self._flights.run(connection_id, partial(self._refresh_one, connection_id, taken=taken))

    async def _refresh_one(self, connection_id: UUID, *, taken: bool) -> bool:
        claim = await self.claims.one(connection_id, taken=taken)
        if claim is None:
            return False
        return await self._refresh(claim, self._slots_of(claim.provider).hold(), wait=False)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopped = True

    async def drain(self, within_s: float) -> None:
        """Wait for the calls under way, so that a plain stop leaves no outcome unknown."""
        if unfinished := await self._shield.drain(within_s):
            _log.error("stopped_with_calls_open", count=unfinished)

    def _slots_of(self, provider: str) -> Slots:
        found = self._slots.get(provider)
        if found is None:
            allowed = self._deps.providers[provider].profile.requests_per_s
            found = self._slots[provider] = Slots(provider, self._deps.limits.in_flight, allowed)
        return found

    async def _refresh(self, claim: Claim, slot: Slot, *, wait: bool) -> bool:
        """Return one claimed connection to its end. What fails here fails this one alone; the lease brings it back."""
        provider = self._deps.providers[claim.provider]
        incident = self.breakers.incident(claim.provider)
        try:
            await slot.call(wait=wait)
            if self._stopped or self.breakers.incident(claim.provider) not in (None, incident):
                # While it waited, we were told to stop, or the platform fell into trouble: others are free to go on.
                await self.claims.release(claim)
                return False
            result = await self._outcome(provider, claim, slot)
            if result is not None:
                await self._settle(result)
                return True
        except RetryableError as error:
            # The database is away. The lease lapses by itself, and an answer that was kept is found then.
            _log.warning("refresh_unsettled", provider=claim.provider, error=type(error).__name__)
        except Exception:  # noqa: BLE001  whatever it was, the sweep goes on with the other grants
            _log.exception("refresh_broke", provider=claim.provider)
            metrics.REFRESHES.labels(claim.provider, "internal_error").inc()
        finally:
            slot.end()
            self._wake(claim.provider)
        return False

    def _wake(self, provider: str) -> None:
        if self._slots_of(provider).worth_a_claim:
            self._poke()

    def _poke_late(self) -> None:
        self._poke()

    async def _outcome(self, provider: Provider, claim: Claim, slot: Slot) -> Result | None:
        """What became of it: read from an open attempt, refused before it was sent, or answered by the platform."""
        unknown = await self._recovery.resume(provider, claim)
        if isinstance(unknown, Result):
            return unknown
        secrets = self._recovery.open(claim)
        if isinstance(secrets, Failure):
            return Result(claim, claim.epoch, claim.credential.generation, secrets, unknown)
        if not rules.can_renew(provider.profile, secrets):
            async with transaction(self._deps.pool) as db:
                await store.schedule.nothing_to_refresh(db, claim.connection_id, claim.epoch)
            return None
        if unknown > 0:
            refusal = await self._recovery.ask_first(provider, claim, secrets, unknown)
            if refusal is not None:
                return Result(claim, claim.epoch, claim.credential.generation, refusal, unknown)
        if not await self.calls.begin(provider, claim):
            await self.claims.release(claim)
            return None
        return await self.calls.call(provider, claim, secrets, unknown, slot)

    async def _settle(self, result: Result) -> None:
        """Write what became of it: at once, or when the database takes it. A refusal is not forgotten either.

        Raises:
            Exception: What the database said. The outcome is written as soon as it can be.

        """
        try:
            await self._settling.submit(result)
        except Exception:
            self.keeping.write_later(result.claim.connection_id, partial(self._settling.submit, result))
            raise
