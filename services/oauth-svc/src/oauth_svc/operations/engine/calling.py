"""Calls: one token request, sent once, after its attempt row was committed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from common.postgres import connection, transaction
from common.runtime.batching import Batcher
from common.runtime.clock import monotonic
from oauth_svc import store
from oauth_svc.core import refresh as rules
from oauth_svc.core.flow import Flow
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.keeping import Keeping
from oauth_svc.operations.engine.settling import Answered, Result
from oauth_svc.operations.engine.slots import Slot
from oauth_svc.providers.base import PlatformError, Provider
from oauth_svc.store.schedule import Claim

CALL_SHARE = 0.8
"""A call begins only if the lease still covers its longest time, or this share of a lease that is shorter than that."""


class Calls:
    """One per engine. `answered` is told the provider whose slot is free again."""

    def __init__(self, deps: Deps, keeping: Keeping, answered: Callable[[str], None]) -> None:
        self._deps = deps
        self._keeping = keeping
        self._answered = answered
        self._beginning = Batcher(self._write_attempts)

    async def begin(self, provider: Provider, claim: Claim) -> bool:
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

    async def call(self, provider: Provider, claim: Claim, secrets: Secrets, unknown: int, slot: Slot) -> Result:
        """Send the request, keep its answer, and say what it was.

        Args:
            provider: Whom to ask.
            claim: The leased connection, whose attempt row `begin` has committed.
            secrets: What is presented.
            unknown: How many earlier requests with the same credential had an unknown outcome.
            slot: The slot of the call; it is free again when the answer is in.

        Returns:
            The answer or the failure, to be settled.

        Raises:
            RetryableError: the database is away; the answer is kept when it is back.

        """
        generation = claim.credential.generation
        started = monotonic()
        try:
            answer = await provider.refresh(secrets, self._deps.clock.now())
        except PlatformError as error:
            failure = rules.outcome(provider.profile, error.failure, sent=error.sent)
            return Result(claim, claim.epoch, generation, failure, unknown)
        finally:
            slot.observe(monotonic() - started)
            if provider.profile.flow is not Flow.SWAP:  # which has one more question
                slot.answered()
                self._answered(claim.provider)
        await self._keeping.keep(claim, answer)
        if provider.profile.flow is Flow.SWAP:
            answer = await self._second_clock(provider, secrets.renewed_by(answer), answer)
        return Result(claim, claim.epoch, generation, Answered(answer, secrets), unknown)

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

    async def _write_attempts(self, items: Sequence[tuple[UUID, int, int, timedelta]]) -> list[bool]:
        async with connection(self._deps.pool) as db:
            begun = await store.attempts.begin(db, items)
        return [item[0] in begun for item in items]
