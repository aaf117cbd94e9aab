"""Doubts settled: the platform meant it (a forced re-consent), or it erred and nobody's grant is touched."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import DetectedBy, RevocationCause, Verdict
from common.crypto import UnsealableError
from common.platforms.errors import reauthorize
from common.postgres import connection, transaction
from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core import refresh as rules
from oauth_svc.core.changes import Change, Recaused
from oauth_svc.core.flow import Flow, OnUnknown
from oauth_svc.core.grant import Secrets
from oauth_svc.core.reconsent import Finding, Word, weigh
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe
from oauth_svc.operations.status import SweepStatus
from oauth_svc.providers.base import PlatformError, Provider
from oauth_svc.store.doubts import DoubtStanding

_log = get_logger(__name__)

ORPHANED = timedelta(seconds=30)
"""Doubts without an open incident are left alone for so long: more may come, and one may be opening."""


async def sweep(deps: Deps, engine: Engine) -> SweepStatus:
    """Look at each provider that has doubted grants. Those of an outage wait until it is over."""
    now = deps.clock.now()
    async with connection(deps.pool) as db:
        found = await store.doubts.standing(db) if await deps.fence.passes(db) else []
    for standing in found:
        if standing.provider not in deps.providers:
            continue
        if not standing.open:
            await _believe_each(deps, engine, standing, now)
        elif standing.reason is Verdict.REAUTHORIZE:
            await _settle(deps, engine, standing, now)
    return SweepStatus(len(found))


async def _settle(deps: Deps, engine: Engine, standing: DoubtStanding, now: datetime) -> None:
    stands_for = now - (standing.since or now)
    match weigh(standing.doubts, standing.same, standing.lives, stands_for, deps.limits.confirm_after):
        case Finding.FORCED:
            await _enforce(deps, engine, standing, now)
        case Finding.ERROR:
            _log.warning("refusals_were_an_error", provider=standing.provider, doubted=standing.doubts)
            await engine.breakers.close(standing.provider, now)
        case Finding.WAIT:
            await _ask_again(deps, engine, standing.provider, now)


async def _enforce(deps: Deps, engine: Engine, standing: DoubtStanding, now: datetime) -> None:
    """The platform means it: the doubted grants end, and every other one is asked about through the bucket."""
    provider, since = standing.provider, standing.since or now
    async with transaction(deps.pool, timeout_s=60) as db:
        before = await store.connections.ended_since(db, provider, since - deps.limits.evidence_window)
        doubted = await store.doubts.of_provider(db, provider)
        await store.connections.lock(db, [*before, *doubted])  # before the breaker's row, as a settlement does
        if not await engine.breakers.close_in(db, provider, now, affected=len(doubted) + len(before)):
            return  # another replica was faster
        await store.health.mark_reconsent(db, provider, since)
        recaused: dict[UUID, Change] = {key: Recaused(RevocationCause.PLATFORM_ENFORCED) for key in before}
        ended = await _end(db, doubted, now, others=recaused, forced=True)
        await store.schedule.probe_all_since(db, provider, since, now)
    deps.committed()
    await engine.breakers.look(provider)
    _log.error("forced_reconsent", provider=provider, ended=ended, recaused=len(before))


async def _believe_each(deps: Deps, engine: Engine, standing: DoubtStanding, now: datetime) -> None:
    """Too few for an event of the platform: each is asked about again, and that word counts for it alone."""
    if now - standing.newest < ORPHANED:
        return
    async with transaction(deps.pool) as db:
        await _end(db, await store.doubts.of_provider(db, standing.provider, told=True), now)
    deps.committed()
    await _ask_again(deps, engine, standing.provider, now)


async def _end(
    db: store.Db,
    doubted: Sequence[UUID],
    now: datetime,
    *,
    others: Mapping[UUID, Change] | None = None,
    forced: bool = False,
) -> int:
    """End those that are still doubted: the platform's word is believed. Those that were found alive go on.

    The connections are locked before their doubts are taken, in the order of every settlement.
    """
    changes = dict(others or {})
    locked = await store.connections.lock(db, [*changes, *doubted])
    lost = await store.schedule.after_unknown(db, doubted)
    for doubt in await store.doubts.take(db, doubted):
        if locked[doubt.connection_id].doubted:
            failure = reauthorize(doubt.code, doubt.cause, ran_out=doubt.ran_out)
            change = rules.ended(
                failure, doubt.detected_by, in_reconsent=forced, after_unknown=doubt.connection_id in lost
            )
            if change is not None:
                changes[doubt.connection_id] = change
    await tokens.change(db, locked, changes, now)
    return len(changes) - len(others or {})


async def _ask_again(deps: Deps, engine: Engine, provider: str, now: datetime) -> None:
    """One canary: the platform's second word about one doubted grant."""
    profile = deps.providers[provider].profile
    async with transaction(deps.pool) as db:
        health = await store.health.take(
            db,
            provider,
            wanted=1,
            rate=profile.requests_per_s,
            burst=profile.burst,
            canary_every=deps.limits.canary_every,
        )
        if health.granted == 0:
            return
        connection_id = await store.doubts.next_to_ask(db, provider, now, deps.limits.canary_every)
    if connection_id is None:
        return
    secrets = await _secrets(deps, connection_id)
    if secrets is None:
        return
    if profile.flow not in (Flow.REFRESH, Flow.CLIENT_CREDENTIALS) or not rules.can_renew(profile, secrets):
        await probe.probe(deps, engine, connection_id, DetectedBy.PROBE, may_refresh=False)
        return
    word = await _word(deps.providers[provider], secrets, now)
    if word is Word.LIVES:
        await engine.refresh_now(connection_id, taken=True)
    elif word is Word.SAME:
        async with connection(deps.pool) as db:
            await store.doubts.say(db, [connection_id], word.value)


async def _secrets(deps: Deps, connection_id: UUID) -> Secrets | None:
    async with transaction(deps.pool) as db:
        credential = await store.credentials.get(db, connection_id)
        if credential is None:
            return None
        await deps.vault.ready(db, deps.clock.now(), key_ids=[credential.key_id])
    with suppress(UnsealableError):
        return deps.vault.open_credential(credential)
    return None


async def _word(provider: Provider, secrets: Secrets, now: datetime) -> Word | None:
    """Return what the platform says about a refused grant when it is asked in another way; None when it says nothing.

    `lives` is only the permission to present the credential once more. Where that is harmless, or where there is no
    other way to ask, nobody is asked: what was refused was not used up.
    """
    rule = provider.profile.on_unknown
    if rule is OnUnknown.REPEAT:
        return Word.LIVES
    try:
        if rule is OnUnknown.INTROSPECT:
            return Word.LIVES if await provider.unspent(secrets) is True else Word.SAME
        await provider.inspect(secrets, now)
    except PlatformError as error:
        return Word.SAME if error.failure.verdict is Verdict.REAUTHORIZE else None
    return Word.LIVES
