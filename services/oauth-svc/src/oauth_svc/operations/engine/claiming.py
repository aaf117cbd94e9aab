"""Claims: what is due is leased, within the provider's limits and in turn by workspace."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.postgres import transaction
from oauth_svc import store
from oauth_svc.core.flow import Flow, Profile
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.store.schedule import Claim


class Claims:
    """One per engine."""

    def __init__(self, deps: Deps, breakers: Breakers) -> None:
        self._deps = deps
        self._breakers = breakers
        self._served: dict[str, dict[UUID, int]] = {}

    async def due(self, profile: Profile, wanted: int, now: datetime) -> list[Claim]:
        """Lease up to `wanted` connections of one provider that are due."""
        limits = self._deps.limits
        served = self._served.setdefault(profile.provider, {})
        satisfied = [workspace for workspace, count in served.items() if count >= limits.workspace_share]
        async with transaction(self._deps.pool) as db:
            if not await self._deps.fence.passes(db):
                return []
            health = await store.health.take(
                db,
                profile.provider,
                wanted=wanted,
                rate=profile.requests_per_s,
                burst=profile.burst,
                canary_every=limits.canary_every,
            )
            self._breakers.saw(profile.provider, health)
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

    async def one(self, connection_id: UUID, *, taken: bool) -> Claim | None:
        """Lease one connection whatever its back-off says; None when a lease, a limit or an incident forbids it."""
        now = self._deps.clock.now()
        async with transaction(self._deps.pool) as db:
            claim = await store.schedule.claim_one(db, connection_id, lease=self._deps.limits.lease)
            if claim is None:
                return None
            profile = self._deps.providers[claim.provider].profile
            if not await self._deps.fence.passes(db):
                await store.schedule.release(db, [(claim.connection_id, claim.epoch)])
                return None
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

    async def release(self, claim: Claim) -> None:
        """Give a lease back unused."""
        async with transaction(self._deps.pool) as db:
            await store.schedule.release(db, [(claim.connection_id, claim.epoch)])

    async def _load_keys(self, db: store.Db, claims: Sequence[Claim], now: datetime) -> None:
        await self._deps.vault.ready(
            db,
            now,
            workspaces={claim.workspace_id for claim in claims},
            key_ids={claim.credential.key_id for claim in claims}
            | {c.open_attempt.key_id for c in claims if c.open_attempt and c.open_attempt.key_id},
        )
