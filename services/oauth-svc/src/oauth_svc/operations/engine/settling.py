"""How refreshes end: a batch of outcomes is decided under its rows' locks and written in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy, Verdict
from common.platforms.errors import Failure
from common.postgres import transaction
from oauth_svc import store
from oauth_svc.core import refresh as rules
from oauth_svc.core.changes import Change, Doubted, RefreshFailed
from oauth_svc.core.connection import Connection
from oauth_svc.core.flow import Flow, OnUnknown, Profile
from oauth_svc.core.grant import Secrets, TokenAnswer, missing_scopes
from oauth_svc.core.refresh import AttemptState, Facts, Settlement
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.reporting import report
from oauth_svc.store.credentials import SealedCredential
from oauth_svc.store.doubts import Doubt
from oauth_svc.store.schedule import Claim, Held, NextRefresh

LONGEST_BLOCK_S = 900.0
"""A provider's stated wait is obeyed for the whole fleet up to this; beyond it, each grant waits by itself."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A token answer, with what was presented for it."""

    answer: TokenAnswer
    presented: Secrets

    @property
    def rotated(self) -> bool:
        """Return whether the platform replaced the refresh token."""
        new = self.answer.refresh_token
        return new is not None and new != self.presented.refresh_token


@dataclass(frozen=True, slots=True)
class Result:
    """One outcome on its way to the settling batch. `attempt_epoch` differs from the claim's when recovering."""

    claim: Claim
    attempt_epoch: int
    generation: int
    outcome: Answered | Failure
    unknown_count: int


class Settling:
    """One per engine."""

    def __init__(self, deps: Deps, breakers: Breakers) -> None:
        self._deps = deps
        self._breakers = breakers

    async def settle(self, results: Sequence[Result]) -> list[None]:
        """Decide and write a batch in one transaction: rows locked in id order, fenced by their epochs.

        Whatever was written already is not written again, so a commit whose outcome is not known can be repeated.
        """
        now = self._deps.clock.now()
        writing = _Writing()
        ids = [result.claim.connection_id for result in results]
        async with transaction(self._deps.pool) as db:
            await self._deps.vault.ready(db, now, workspaces={r.claim.workspace_id for r in results})
            locked = await store.connections.lock(db, ids)
            held = await store.schedule.hold(db, ids)
            proven = await store.attempts.proven(db, [open_ for r in results if (open_ := self._left_open(r))])
            for result in results:  # before any of them is decided: together they may say more than each alone
                failure = _failure(result)
                connection = locked.get(result.claim.connection_id)
                if connection is not None and (failure is None or failure.code not in rules.SAYS_NOTHING):
                    self._breakers.note(connection, failure, now)
            for result in results:
                connection, fence = locked.get(result.claim.connection_id), held.get(result.claim.connection_id)
                if connection is not None and fence is not None and _holds(fence, result.claim):
                    known = result.claim.connection_id in proven
                    self._decide(result, connection, fence, now, writing, proven=known)
                elif isinstance(result.outcome, Failure):
                    writing.attempts.append(_closed(result, AttemptState.FAILED, "fenced_out"))
                # A fenced-out answer stays with its attempt: it may hold the only valid refresh token.
            await store.credentials.put(db, writing.credentials)
            await store.attempts.settle(db, writing.attempts)
            await store.schedule.settle(db, writing.plans)
            await tokens.change(db, locked, writing.changes, now)
            await store.doubts.put(db, writing.doubts, now)
            for provider_id, wait_s in writing.blocks.items():
                await store.health.block(db, provider_id, wait_s)
        self._deps.committed()
        report((r.claim.provider, r.claim.connection_id, _failure(r)) for r in results)
        await self._breakers.act({result.claim.provider for result in results}, now)
        return [None] * len(results)

    def _left_open(self, result: Result) -> tuple[UUID, int] | None:
        """Return the credential of an attempt with an unknown outcome, where its history decides what may be done."""
        profile = self._deps.providers[result.claim.provider].profile
        failure = _failure(result)
        if failure is None or failure.verdict is not Verdict.UNKNOWN_OUTCOME:
            return None
        return (result.claim.connection_id, result.generation) if profile.on_unknown is OnUnknown.IF_PROVEN else None

    def _decide(
        self,
        result: Result,
        connection: Connection,
        fence: Held,
        now: datetime,
        writing: "_Writing",
        *,
        proven: bool,
    ) -> None:
        profile = self._deps.providers[result.claim.provider].profile
        facts = Facts(
            connection_id=connection.connection_id,
            generation_sent=result.generation,
            generation_now=fence.generation,
            attempt=fence.attempt,
            access_expires_at=connection.access_expires_at,
            expires_at=connection.expires_at,
            authorized_at=connection.authorized_at,
            last_refreshed_at=connection.last_refreshed_at,
            unknown_before=result.unknown_count,
            proven=proven,
        )
        outcome = result.outcome
        if isinstance(outcome, Failure):
            facts = replace(
                facts,
                doubted=self._breakers.doubts(connection, outcome, now),
                in_reconsent=self._breakers.in_reconsent(connection, outcome, now),
            )
            settlement = rules.failed(profile, facts, outcome, now)
            if isinstance(settlement.change, Doubted):
                writing.doubts.append(
                    Doubt(
                        connection.connection_id,
                        connection.provider,
                        outcome.cause,
                        DetectedBy.REFRESH,
                        outcome.code,
                        outcome.ran_out,
                    )
                )
            if outcome.verdict is Verdict.RATE_LIMITED and outcome.retry_after_s:
                writing.block(result.claim.provider, outcome.retry_after_s)
        else:
            answer = outcome.answer
            missing = None if answer.scopes is None else missing_scopes(profile.needed_scopes, answer.scopes)
            settlement = rules.renewed(profile, facts, answer, rotated=outcome.rotated, scopes_missing=missing)
            writing.credentials.append(self._renewed_credential(profile, result.claim, outcome, fence))
        writing.add(result, settlement, connection, fence, self._breakers.incident(result.claim.provider))

    def _renewed_credential(self, profile: Profile, claim: Claim, outcome: Answered, fence: Held) -> SealedCredential:
        presented_changed = outcome.rotated or profile.flow is Flow.SWAP
        return self._deps.vault.seal_credential(
            claim.connection_id,
            claim.workspace_id,
            outcome.presented.renewed_by(outcome.answer),
            version=fence.version + 1,
            generation=fence.generation + int(presented_changed),
            issued_at=outcome.answer.issued_at,
        )


class _Writing:
    """What one settling batch writes."""

    def __init__(self) -> None:
        self.credentials: list[SealedCredential] = []
        self.plans: list[NextRefresh] = []
        self.attempts: list[tuple[UUID, int, str, str]] = []
        self.changes: dict[UUID, Change] = {}
        self.doubts: list[Doubt] = []
        self.blocks: dict[str, float] = {}

    def block(self, provider: str, wait_s: float) -> None:
        self.blocks[provider] = max(self.blocks.get(provider, 0.0), min(wait_s, LONGEST_BLOCK_S))

    def add(
        self,
        result: Result,
        settlement: Settlement,
        connection: Connection,
        fence: Held,
        incident_id: UUID | None,
    ) -> None:
        change = settlement.change
        if isinstance(change, RefreshFailed) and incident_id is not None:
            change = replace(change, incident_id=incident_id)
        if change is not None:
            self.changes[connection.connection_id] = change
        self.attempts.append(_closed(result, settlement.state, settlement.outcome))
        answer = result.outcome.answer if isinstance(result.outcome, Answered) else None
        unknown = 0 if answer is not None else result.unknown_count
        self.plans.append(
            NextRefresh(
                connection_id=connection.connection_id,
                epoch=fence.epoch,
                refresh_at=settlement.refresh_at,
                deadline=answer.expires_at if answer is not None else connection.access_expires_at,
                attempt=settlement.attempt,
                unknown_count=unknown + int(settlement.state is AttemptState.UNKNOWN),
            )
        )


def _holds(fence: Held, claim: Claim) -> bool:
    """Return whether this claim is the last one, and still open."""
    return fence.leased and fence.epoch == claim.epoch


def _failure(result: Result) -> Failure | None:
    return result.outcome if isinstance(result.outcome, Failure) else None


def _closed(result: Result, state: AttemptState, outcome: str) -> tuple[UUID, int, str, str]:
    return (result.claim.connection_id, result.attempt_epoch, state.value, outcome)
