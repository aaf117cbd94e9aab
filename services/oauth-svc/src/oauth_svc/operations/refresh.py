"""The refresh engine: claim, one call, keep the answer, settle.

Nothing here holds a database connection while a provider is called, and nothing presents a credential without a
committed attempt row.

A life of one refresh, with what a SIGKILL after each step leaves behind:

1. `claim` leases the row                                        -> after the lease, the next holder starts anew
2. `attempts.begin` commits the attempt as `sent`                -> the next holder finds it open
3. one call to the provider                                      -> outcome unknown: the provider's rule decides
4. `attempts.keep` keeps the sealed answer with the attempt      -> the next holder promotes it without a call
5. `settle` promotes, plans, tells, and ends the lease           -> done
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from common.crypto import Unsealable
from common.postgres import transaction, translate_errors
from common.runtime.clock import monotonic
from common.runtime.errors import Retryable
from common.runtime.retry import Backoff
from common.telemetry import logs
from oauth_svc import metrics, store
from oauth_svc.core import refresh as rules
from oauth_svc.core.failure import Failure, our_bug, unknown_outcome
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.core.refresh import AttemptState
from oauth_svc.providers.base import PlatformError, Provider
from oauth_svc.store.attempts import Kept
from oauth_svc.store.schedule import Claim

from .batching import Batcher
from .breaker import Breakers
from .deps import Deps
from .settling import Result, Settling
from .shield import Shield
from .slots import Slot, Slots
from .status import SweepStatus

log = logs.get_logger("refresh")

CALL_SHARE = 0.8
"""A call begins only if the lease still covers its longest time, or this share of a lease that is shorter than that."""

KEEP_LINGER_S = 0.008
"""How long an answer waits for company under load before it is kept. Until then a crash would lose it."""

SETTLE_LINGER_S = 0.03
"""The same for a settlement, which loses nothing by waiting: its ten statements cost the same for one and for many."""


def _nothing() -> None:
    """Nobody to wake."""


class Engine:
    """One per process. In-process single flight is `_running`; across processes it is the lease."""

    def __init__(self, deps: Deps, breakers: Breakers) -> None:
        self._deps = deps
        self.breakers = breakers
        self._shield = Shield()
        self._running: dict[UUID, asyncio.Task[bool]] = {}
        self._slots: dict[str, Slots] = {}
        self._backlog: set[str] = set()
        self._served: dict[str, dict[UUID, int]] = {}
        self._beginning = Batcher(self._write_attempts)
        self._pending = Batcher(self._write_pending, linger_s=KEEP_LINGER_S)
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
            async with self._deps.pool.acquire() as db:
                due = await store.schedule.providers_due(db, asked, now)
            for provider_id in due:
                status += await self._sweep_one(provider_id, now)
        return status

    async def _sweep_one(self, provider_id: str, now: datetime) -> SweepStatus:
        wanted = self._slots_of(provider_id).room
        claims = await self._claim(self._deps.providers[provider_id].profile, wanted, now)
        for claim in claims:
            self._start(claim)
        full = len(claims) >= wanted
        if full:
            self._backlog.add(provider_id)  # more is due: the next sweep need not ask
        else:
            self._backlog.discard(provider_id)
        return SweepStatus(len(claims), more=full)

    def when_free(self, poke: Callable[[], None]) -> None:
        """Whom to wake when calls have ended and slots are free again."""
        self._poke = poke

    async def refresh_now(self, connection_id: UUID, *, taken: bool = False) -> bool:
        """Refresh one connection in flight, whatever its back-off says.

        False when nothing was asked: somebody else holds the lease, or the platform's limits or trouble forbid it.
        It passes the back-off, but never the lease, the bucket or the breaker (I10). `taken`: the caller has taken
        the call out of the bucket already.
        """
        running = self._running.get(connection_id)
        if running is None:
            running = self._running[connection_id] = self._shield.start(self._refresh_one(connection_id, taken=taken))
            running.add_done_callback(lambda _: self._running.pop(connection_id, None))
        return await asyncio.shield(running)

    async def _refresh_one(self, connection_id: UUID, *, taken: bool) -> bool:
        claim = await self._claim_one(connection_id, taken=taken)
        if claim is None:
            return False
        return await self._refresh(claim, self._slots_of(claim.provider).hold(), wait=False)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopped = True

    async def drain(self, within_s: float) -> None:
        """Wait for the calls under way, so that a plain stop leaves no outcome unknown."""
        if unfinished := await self._shield.drain(within_s):
            log.error("stopped_with_calls_open", count=unfinished)

    async def _claim(self, profile: Profile, wanted: int, now: datetime) -> list[Claim]:
        limits = self._deps.limits
        served = self._served.setdefault(profile.provider, {})
        satisfied = [workspace for workspace, count in served.items() if count >= limits.workspace_share]
        async with transaction(self._deps.pool) as db:
            health = await store.health.take(
                db,
                profile.provider,
                wanted=wanted,
                rate=profile.requests_per_s,
                burst=profile.burst,
                canary_every=limits.canary_every,
            )
            self.breakers.saw(profile.provider, health)
            if health.granted == 0:
                return []
            claims = await store.schedule.claim_due(
                db,
                profile.provider,
                now,
                limit=health.granted,
                lease=limits.lease,
                exclude=satisfied,
            )
            if len(claims) < health.granted:
                served.clear()  # the round is over: everyone had a turn
                await store.health.give_back(db, profile.provider, health.granted - len(claims))
            if claims:
                await self._load_keys(db, claims, now)
        for claim in claims:
            served[claim.workspace_id] = served.get(claim.workspace_id, 0) + 1
        return claims

    async def _claim_one(self, connection_id: UUID, *, taken: bool) -> Claim | None:
        now = self._deps.clock.now()
        async with transaction(self._deps.pool) as db:
            claim = await store.schedule.claim_one(db, connection_id, lease=self._deps.limits.lease)
            if claim is None:
                return None
            profile = self._deps.providers[claim.provider].profile
            health = await store.health.take(
                db,
                claim.provider,
                wanted=0 if taken else 1,
                rate=profile.requests_per_s,
                burst=profile.burst,
                canary_every=self._deps.limits.canary_every,
            )
            if (health.granted == 0 and not taken) or profile.flow is Flow.LASTING:
                await store.schedule.release(db, [(claim.connection_id, claim.epoch)])
                return None
            await self._load_keys(db, [claim], now)
            return claim

    async def _load_keys(self, db: store.Db, claims: Sequence[Claim], now: datetime) -> None:
        await self._deps.vault.ready(
            db,
            now,
            workspaces={claim.workspace_id for claim in claims},
            key_ids={claim.credential.key_id for claim in claims}
            | {c.open_attempt.key_id for c in claims if c.open_attempt and c.open_attempt.key_id},
        )

    def _slots_of(self, provider: str) -> Slots:
        found = self._slots.get(provider)
        if found is None:
            allowed = self._deps.providers[provider].profile.requests_per_s
            found = self._slots[provider] = Slots(provider, self._deps.limits.in_flight, allowed)
        return found

    def _start(self, claim: Claim) -> None:
        """Run a claim of the sweep. The lease says that nobody else holds it, here or elsewhere."""
        task = self._shield.start(self._refresh(claim, self._slots_of(claim.provider).hold(), wait=True))
        self._running[claim.connection_id] = task
        task.add_done_callback(lambda _: self._running.pop(claim.connection_id, None))

    async def _refresh(self, claim: Claim, slot: Slot, *, wait: bool) -> bool:
        """One claimed connection to its end. What fails here fails this one alone; the lease brings it back."""
        provider = self._deps.providers[claim.provider]
        incident = self.breakers.incident(claim.provider)
        try:
            await slot.call(wait=wait)
            if self._stopped or self.breakers.incident(claim.provider) not in (None, incident):
                # While it waited, we were told to stop, or the platform fell into trouble: others are free to go on.
                await self._release(claim)
                return False
            result = await self._outcome(provider, claim, slot)
            if result is not None:
                await self._settle(result)
                return True
        except Retryable as error:
            # The database is away. The lease lapses by itself, and an answer that was kept is found then.
            log.warning("refresh_unsettled", provider=claim.provider, error=type(error).__name__)
        except Exception:
            log.exception("refresh_broke", provider=claim.provider)
            metrics.REFRESHES.labels(claim.provider, "internal_error").inc()
        finally:
            slot.end()
            self._wake(claim.provider)
        return False

    async def _release(self, claim: Claim) -> None:
        async with transaction(self._deps.pool) as db:
            await store.schedule.release(db, [(claim.connection_id, claim.epoch)])

    def _wake(self, provider: str) -> None:
        if self._slots_of(provider).worth_a_claim:
            self._poke()

    async def _outcome(self, provider: Provider, claim: Claim, slot: Slot) -> Result | None:  # noqa: PLR0911
        opened = claim.open_attempt
        unknown = claim.unknown_count
        if opened is not None:
            if opened.pending is not None and opened.generation == claim.credential.generation:
                return self._kept_answer(claim, opened.epoch, opened.pending)
            if opened.generation == claim.credential.generation:
                failure = unknown_outcome("interrupted")
                if not rules.may_repeat(provider.profile, unknown):
                    return Result(claim, opened.epoch, opened.generation, failure, unknown)
                unknown += 1
            async with transaction(self._deps.pool) as db:
                state = AttemptState.UNKNOWN if unknown > claim.unknown_count else AttemptState.SUPERSEDED
                await store.schedule.count_unknown(db, claim.connection_id, claim.epoch, unknown)
                await store.attempts.settle(
                    db, [(claim.connection_id, opened.epoch, state.value, "unknown_outcome:interrupted")]
                )
        secrets = self._open(claim)
        if isinstance(secrets, Failure):
            return Result(claim, claim.epoch, claim.credential.generation, secrets, unknown)
        if not rules.can_renew(provider.profile, secrets):
            async with transaction(self._deps.pool) as db:
                await store.schedule.nothing_to_refresh(db, claim.connection_id, claim.epoch)
            return None
        if unknown > 0:
            refusal = await self._ask_first(provider, secrets, unknown)
            if refusal is not None:
                return Result(claim, claim.epoch, claim.credential.generation, refusal, unknown)
        if not await self._begin(provider, claim):
            await self._release(claim)
            return None
        return await self._call(provider, claim, secrets, unknown, slot)

    def _open(self, claim: Claim) -> Secrets | Failure:
        try:
            secrets = self._deps.vault.open_credential(claim.credential)
        except Unsealable:
            return our_bug("unreadable_credential")
        if not self._deps.vault.can_seal(claim.workspace_id):
            # Asking would spend the credential for an answer that nobody could keep.
            return our_bug("no_data_key")
        return secrets

    def _kept_answer(self, claim: Claim, epoch: int, pending: bytes) -> Result:
        try:
            answer = self._deps.vault.open_answer(claim.connection_id, claim.workspace_id, epoch, pending)
            secrets = self._deps.vault.open_credential(claim.credential)
        except Unsealable:
            failure = our_bug("unreadable_answer")
            return Result(claim, epoch, claim.credential.generation, failure, claim.unknown_count)
        return Result(claim, epoch, claim.credential.generation, answer, claim.unknown_count, secrets)

    async def _ask_first(self, provider: Provider, secrets: Secrets, unknown: int) -> Failure | None:
        """After an unknown outcome: ask the platform before presenting again. A failure means: do not."""
        profile = provider.profile
        if not rules.asks_first(profile, unknown):
            return unknown_outcome("never_again") if profile.on_unknown is OnUnknown.WAIT else None
        try:
            if profile.on_unknown is OnUnknown.INTROSPECT:
                unspent = await provider.unspent(secrets)
                return None if unspent else replace(unknown_outcome("spent"), final=True)
            await provider.inspect(secrets, self._deps.clock.now())
        except PlatformError as error:
            if error.failure.refresh_first:
                return None  # only the access token is over, which says nothing about the grant
            return error.failure
        return None

    async def _begin(self, provider: Provider, claim: Claim) -> bool:
        """Commit the attempt row of this very call; False when the lease or the login budget does not suffice."""
        budget = provider.profile.budget
        if budget is not None:
            async with transaction(self._deps.pool) as db:
                free_at = await store.logins.take(db, claim.provider, claim.subject, calls=budget.calls, per=budget.per)
                if free_at is not None:
                    await store.schedule.release(db, [(claim.connection_id, claim.epoch)], free_at)
                    return False
        longest = min(timedelta(seconds=provider.profile.total_timeout_s), self._deps.limits.lease * CALL_SHARE)
        return await self._beginning.submit((claim.connection_id, claim.epoch, claim.credential.generation, longest))

    async def _write_attempts(self, items: Sequence[tuple[UUID, int, int, timedelta]]) -> list[bool]:
        with translate_errors():
            async with self._deps.pool.acquire() as db:
                begun = await store.attempts.begin(db, items)
        return [item[0] in begun for item in items]

    async def _call(self, provider: Provider, claim: Claim, secrets: Secrets, unknown: int, slot: Slot) -> Result:
        generation = claim.credential.generation
        started = monotonic()
        try:
            answer = await provider.refresh(secrets, self._deps.clock.now())
        except PlatformError as error:
            return Result(claim, claim.epoch, generation, error.failure, unknown, secrets)
        finally:
            slot.observe(monotonic() - started)
            if provider.profile.flow is not Flow.SWAP:  # which has one more question
                slot.answered()
                self._wake(claim.provider)
        await self._keep(claim, answer)
        if provider.profile.flow is Flow.SWAP:
            answer = await self._second_clock(provider, secrets.renewed_by(answer), answer)
        return Result(claim, claim.epoch, generation, answer, unknown, secrets)

    async def _keep(self, claim: Claim, answer: TokenAnswer) -> None:
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
            log.warning("answer_waits", provider=claim.provider, connection_id=str(claim.connection_id))
            self._write_later(claim, partial(self._keep_late, kept))
            raise

    async def _keep_late(self, kept: Kept) -> None:
        async with transaction(self._deps.pool) as db:
            found = await store.attempts.keep_late(db, kept)
        log.info("answer_kept_late", connection_id=str(kept[0]), wanted=found)
        self._poke()

    async def _settle(self, result: Result) -> None:
        """Write what became of it: at once, or when the database is back. A refusal is not forgotten either.

        Raises:
            Retryable: the database is away, or busy with somebody else's locks.

        """
        try:
            await self._settling.submit(result)
        except Retryable:
            self._write_later(result.claim, partial(self._settling.submit, result))
            raise

    def _write_later(self, claim: Claim, write: Callable[[], Awaitable[object]]) -> None:
        """Try until the database takes it. The epoch decides whether it still matters then."""

        async def again() -> None:
            waits, attempt = Backoff(base_s=0.2, cap_s=2.0), 0
            while True:
                attempt += 1
                await asyncio.sleep(waits.delay(attempt, str(claim.connection_id)))
                with suppress(Retryable):
                    await write()
                    return

        self._shield.start(again())

    async def _second_clock(self, provider: Provider, secrets: Secrets, answer: TokenAnswer) -> TokenAnswer:
        """A swapped token has ends that the answer does not tell; ask, and go on without if it cannot be asked."""
        with suppress(PlatformError):
            seen = await provider.inspect(secrets, self._deps.clock.now())
            return replace(
                answer,
                expires_at=answer.expires_at or seen.access_expires_at,
                grant_expires_at=seen.expires_at,
                scopes=answer.scopes or seen.scopes,
            )
        return answer

    async def _write_pending(self, items: Sequence[Kept]) -> list[bool]:
        with translate_errors():
            async with self._deps.pool.acquire() as db:
                kept = await store.attempts.keep(db, items)
        return [item[0] in kept for item in items]
