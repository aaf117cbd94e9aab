"""Recovery: what an attempt that nobody settled means, and whether its credential may be presented again."""

from dataclasses import replace

from common.crypto import UnsealableError
from common.platforms.errors import Failure, our_bug, unknown_outcome
from common.postgres import transaction
from oauth_svc import store
from oauth_svc.core import refresh as rules
from oauth_svc.core.flow import OnUnknown
from oauth_svc.core.grant import Secrets
from oauth_svc.core.refresh import AttemptState
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.settling import Answered, Result
from oauth_svc.providers.base import PlatformError, Provider
from oauth_svc.store.schedule import Claim


class Recovery:
    """One per engine."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def resume(self, provider: Provider, claim: Claim) -> Result | int:
        """Settle the open attempt of a claim, if it has one.

        Returns:
            The outcome, when the attempt was answered or must not be repeated. Otherwise how many attempts with this
            credential ended with an unknown outcome.

        """
        opened = claim.open_attempt
        unknown = claim.unknown_count
        if opened is None:
            return unknown
        if opened.pending is not None and opened.generation == claim.credential.generation:
            return self._kept_answer(claim, opened.epoch, opened.pending)
        if opened.generation == claim.credential.generation:
            failure = unknown_outcome("interrupted")
            if not rules.may_repeat(provider.profile, proven=await self._proven(provider, claim)):
                return Result(claim, opened.epoch, opened.generation, failure, unknown)
            unknown += 1
        async with transaction(self._deps.pool) as db:
            state = AttemptState.UNKNOWN if unknown > claim.unknown_count else AttemptState.SUPERSEDED
            await store.schedule.count_unknown(db, claim.connection_id, claim.epoch, unknown)
            await store.attempts.settle(
                db, [(claim.connection_id, opened.epoch, state.value, "unknown_outcome:interrupted")]
            )
        return unknown

    def open(self, claim: Claim) -> Secrets | Failure:
        """Unseal what is presented; a failure when it, or the answer to it, could not be sealed or read."""
        try:
            secrets = self._deps.vault.open_credential(claim.credential)
        except UnsealableError:
            return our_bug("unreadable_credential")
        if not self._deps.vault.can_seal(claim.workspace_id):
            # Asking would spend the credential for an answer that nobody could keep.
            return our_bug("no_data_key")
        return secrets

    async def ask_first(self, provider: Provider, claim: Claim, secrets: Secrets, unknown: int) -> Failure | None:
        """After an unknown outcome: ask the platform before presenting again.

        Args:
            provider: The platform.
            claim: The leased connection.
            secrets: What would be presented.
            unknown: How many attempts with it ended with an unknown outcome.

        Returns:
            Why it must not be presented, or None when it may.

        """
        profile = provider.profile
        if not rules.may_repeat(profile, proven=await self._proven(provider, claim)):
            return unknown_outcome("never_again")
        if not rules.asks_first(profile, unknown):
            return None
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

    async def _proven(self, provider: Provider, claim: Claim) -> bool:
        if provider.profile.on_unknown is not OnUnknown.IF_PROVEN:
            return False
        async with transaction(self._deps.pool) as db:
            return claim.connection_id in await store.attempts.proven(
                db, [(claim.connection_id, claim.credential.generation)]
            )

    def _kept_answer(self, claim: Claim, epoch: int, pending: bytes) -> Result:
        try:
            answer = self._deps.vault.open_answer(claim.connection_id, claim.workspace_id, epoch, pending)
            secrets = self._deps.vault.open_credential(claim.credential)
        except UnsealableError:
            failure = our_bug("unreadable_answer")
            return Result(claim, epoch, claim.credential.generation, failure, claim.unknown_count)
        return Result(claim, epoch, claim.credential.generation, Answered(answer, secrets), claim.unknown_count)
