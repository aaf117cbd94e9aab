"""Asking the platform about grants: on a schedule, on demand of a person, and when a service reports trouble.

A probe is the judge: what services report and what webhooks do not tell is believed only after it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common import postgres
from common.contracts import AccountAccess, DetectedBy, Verdict
from common.crypto import UnsealableError
from common.platforms.errors import Failure, retry_later
from common.postgres import transaction
from common.runtime.errors import RetryableError
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core import refresh as rules
from oauth_svc.core.accounts import LOOK_AGAIN_AFTER, Comparison, compare, is_believed
from oauth_svc.core.changes import AskingFailed, Confirmed, Doubted, Revived
from oauth_svc.core.connection import Account, Connection, Listing
from oauth_svc.core.errors import RefusalError, UnknownConnectionError
from oauth_svc.core.grant import Secrets, missing_scopes
from oauth_svc.core.schedule import refresh_at, retry_at, unit_hash
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.reporting import report_call
from oauth_svc.operations.serving.listing import list_accounts
from oauth_svc.operations.status import SweepStatus
from oauth_svc.providers.base import Inspection, PlatformError, Provider
from oauth_svc.store.doubts import Doubt

_log = get_logger(__name__)

PROBE_BATCH = 32
ASK_AGAIN = timedelta(minutes=15)
GIVE_UP = timedelta(days=1)
"""A platform that does not answer about a grant that its signal ended is asked every `ASK_AGAIN` for so long."""

PROBE_LEASE = timedelta(minutes=5)
"""A probe that died with its process is due again after this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe learned. `failure` is None when the platform answered well."""

    connection: Connection
    failure: Failure | None = None

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.connection.accounts if a.access is AccountAccess.LOST)


async def sweep(deps: Deps, engine: Engine) -> SweepStatus:
    """Probe what is due, one batch for each provider."""
    now = deps.clock.now()
    names = [p.profile.provider for p in deps.providers]
    async with postgres.connection(deps.pool) as db:
        due = await store.schedule.providers_to_probe(db, names, now)
    probed = 0
    more = False
    for provider_id in due:
        profile = deps.providers[provider_id].profile
        async with transaction(deps.pool) as db:
            health = await store.health.current(db, provider_id)
            if health is not None:
                engine.breakers.saw(provider_id, health)
            if health is not None and health.open:
                continue  # while the platform is in trouble, its word about single grants is worth nothing
            granted = await store.health.take(
                db,
                provider_id,
                wanted=PROBE_BATCH,
                rate=profile.requests_per_s,
                burst=profile.burst,
                canary_every=deps.limits.canary_every,
            )
            claims = await store.schedule.claim_probes(db, provider_id, now, limit=granted.granted, lease=PROBE_LEASE)
            await store.health.give_back(db, provider_id, granted.granted - len(claims))
        await asyncio.gather(*(_guarded(deps, engine, connection_id) for connection_id, _ in claims))
        probed += len(claims)
        more = more or len(claims) == PROBE_BATCH
    return SweepStatus(probed, more=more)


async def _guarded(deps: Deps, engine: Engine, connection_id: UUID) -> None:
    """One probe of a batch; what fails here fails this one alone, and is due again after the lease."""
    try:
        await probe(deps, engine, connection_id, DetectedBy.PROBE, sparing=True)
    except (RefusalError, RetryableError) as error:
        _log.warning("probe_failed", error=type(error).__name__)


async def probe(
    deps: Deps,
    engine: Engine,
    connection_id: UUID,
    detected_by: DetectedBy,
    *,
    may_refresh: bool = True,
    sparing: bool = False,
) -> Finding:
    """Ask the platform about one grant and its accounts, write what changed, and plan the next probe.

    Args:
        deps: What every operation is given.
        engine: Refreshes first, where only that tells.
        connection_id: Which grant.
        detected_by: What is written as the way in which an end was found.
        may_refresh: Whether a refused access token is renewed first.
        sparing: Whether the accounts are listed only when that is due, where listing costs a quota.

    Returns:
        What was learned.

    """
    provider, connection, secrets = await _load(deps, connection_id)
    now = deps.clock.now()
    if secrets is not None and connection.ended_by_signal:
        return await _second_look(deps, provider, connection, secrets)
    if not connection.status.alive or secrets is None:
        return Finding(connection)
    try:
        inspection = await provider.inspect(secrets, now)
        try:
            spared = sparing and not await _must_list(deps, provider, connection_id, now)
            accounts = None if spared else await list_accounts(deps, provider, connection_id, secrets)
        except PlatformError as error:
            if not rules.lacks_permission(provider.profile, error.failure, inspection.scopes):
                raise
            accounts = Listing((), complete=False)
    except PlatformError as error:
        if error.failure.refresh_first and may_refresh and rules.can_renew(provider.profile, secrets):
            return await _after_refresh(deps, engine, connection, error.failure, detected_by)
        return await _trouble(deps, engine, connection, error.failure, detected_by)
    finding = await _good(deps, provider, connection, inspection, accounts)
    engine.breakers.note_consent(connection, None, now)
    return finding


async def _second_look(deps: Deps, provider: Provider, connection: Connection, secrets: Secrets) -> Finding:
    """Ask about a grant that a signal ended. One that lives comes back; one that is refused too is left in peace."""
    now = deps.clock.now()
    failure: Failure | None = None
    inspection = Inspection(asked=False)
    try:
        inspection = await provider.inspect(secrets, now)
    except PlatformError as error:
        failure = error.failure
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, [connection.connection_id])
        current = locked.get(connection.connection_id)
        if current is None or not current.ended_by_signal or current.since != connection.since:
            return Finding(current or connection)
        if failure is not None and failure.verdict is not Verdict.REAUTHORIZE and now < current.since + GIVE_UP:
            await store.schedule.plan_probe(db, connection.connection_id, now + ASK_AGAIN)
            return Finding(current, failure)
        if failure is not None or not inspection.asked:
            await store.schedule.drop_probe(db, connection.connection_id)
            return Finding(current, failure)
        revived = Revived(inspection.expires_at, inspection.access_expires_at)
        after = (await tokens.change(db, locked, {connection.connection_id: revived}, now))[connection.connection_id]
        if after.status.alive:
            renews = rules.can_renew(provider.profile, secrets)
            await store.schedule.put(
                db,
                [
                    store.schedule.NewPlan(
                        after.connection_id,
                        after.workspace_id,
                        after.provider,
                        refresh_at(after.connection_id, now, after.access_expires_at) if renews else None,
                        now,
                        after.access_expires_at,
                    )
                ],
            )
            _log.warning("signal_was_mistaken", provider=after.provider, connection_id=str(after.connection_id))
    deps.committed()
    return Finding(after)


async def _after_refresh(
    deps: Deps, engine: Engine, connection: Connection, failure: Failure, detected_by: DetectedBy
) -> Finding:
    """Return what one forced refresh tells about the grant, if it gets an answer: only the access token is over."""
    await engine.refresh_now(connection.connection_id)
    _, now, _ = await _load(deps, connection.connection_id)
    if now.status.alive and now.last_refreshed_at == connection.last_refreshed_at:
        return await _trouble(deps, engine, now, retry_later(failure.code), detected_by)
    return await probe(deps, engine, connection.connection_id, detected_by, may_refresh=False)


async def _must_list(deps: Deps, provider: Provider, connection_id: UUID, now: datetime) -> bool:
    if provider.profile.list_every is None:
        return True
    async with postgres.connection(deps.pool) as db:
        return await store.listings.is_due(db, connection_id, now)


async def _load(deps: Deps, connection_id: UUID) -> tuple[Provider, Connection, Secrets | None]:
    async with transaction(deps.pool) as db:
        found = await store.connections.read(db, connection_id)
        if found is None:
            raise UnknownConnectionError
        if not await deps.fence.passes(db):
            raise RetryableError("the database is not compared with the log yet")
        credential = await store.credentials.get(db, connection_id)
        if credential is None:
            return deps.providers[found.provider], found, None
        await deps.vault.ready(db, deps.clock.now(), key_ids=[credential.key_id])
    try:
        return deps.providers[found.provider], found, deps.vault.open_credential(credential)
    except UnsealableError:
        _log.error("credential_unreadable", provider=found.provider)
        return deps.providers[found.provider], found, None


async def _trouble(
    deps: Deps, engine: Engine, connection: Connection, failure: Failure, detected_by: DetectedBy
) -> Finding:
    now = deps.clock.now()
    breakers = engine.breakers
    report_call("probe", connection.provider, connection.connection_id, failure)
    breakers.note_consent(connection, failure, now)
    async with postgres.connection(deps.pool) as db:
        lost = await store.schedule.after_unknown(db, [connection.connection_id])
    change = rules.ended(
        failure,
        detected_by,
        doubted=breakers.doubts(connection, failure, now),
        in_reconsent=breakers.in_reconsent(connection, failure, now),
        after_unknown=bool(lost),
    )
    if change is None:
        async with transaction(deps.pool) as db:
            await _show(db, connection.connection_id, AskingFailed("probe", failure.verdict, failure.code), now)
            await store.schedule.plan_probe(
                db,
                connection.connection_id,
                retry_at(connection.connection_id, 3, now, retry_after_s=failure.retry_after_s),
            )
        return Finding(connection, failure)
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, [connection.connection_id])
        after = await tokens.change(db, locked, dict.fromkeys(locked, change), now)
        if isinstance(change, Doubted):
            doubt = Doubt(
                connection.connection_id, connection.provider, failure.cause, detected_by, failure.code, failure.ran_out
            )
            await store.doubts.put(db, [doubt], now)
    deps.committed()
    await breakers.act([connection.provider], now)
    return Finding(after.get(connection.connection_id, connection), failure)


async def _show(db: store.Db, connection_id: UUID, trouble: AskingFailed, now: datetime) -> None:
    locked = await store.connections.lock(db, [connection_id])
    await tokens.change(db, locked, dict.fromkeys(locked, trouble), now)


async def _good(
    deps: Deps,
    provider: Provider,
    connection: Connection,
    inspection: Inspection,
    accounts: Listing | None,
) -> Finding:
    now = deps.clock.now()
    profile = provider.profile
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, [connection.connection_id])
        current = locked.get(connection.connection_id)
        if current is None:
            raise UnknownConnectionError
        if not current.status.alive or current.authorized_at != connection.authorized_at:
            return Finding(current)  # it changed while we asked; what we learned is about the past
        look_again_at: datetime | None = None
        if accounts is not None and (profile.needs_accounts or accounts.accounts):
            comparison = compare(current.accounts, accounts, now, deps.new_id, last_good_at=current.last_good_at)
            look_again_at = await _doubted(db, current, comparison, now)
            if look_again_at is not None:
                comparison = comparison.without_losses(current.accounts)
            current = await tokens.change_accounts(db, current, comparison, now)
        confirmed = Confirmed(
            expires_at=inspection.expires_at,
            access_expires_at=inspection.access_expires_at,
            scopes_missing=None
            if inspection.scopes is None
            else missing_scopes(profile.needed_scopes, inspection.scopes),
        )
        proved = inspection.asked or bool(accounts is not None and accounts.accounts)
        after = await tokens.change(
            db,
            {connection.connection_id: current},
            {connection.connection_id: confirmed} if proved else {},
            now,
        )
        if accounts is not None and profile.list_every is not None:
            await store.listings.plan(db, connection.connection_id, look_again_at or now + profile.list_every)
        usual = next_probe(deps, connection, now)
        await store.schedule.plan_probe(
            db, connection.connection_id, usual if look_again_at is None else min(usual, look_again_at)
        )
    deps.committed()
    return Finding(after[connection.connection_id])


async def _doubted(db: store.Db, connection: Connection, comparison: Comparison, now: datetime) -> datetime | None:
    """Return when to list again, if the platform's list lacks most accounts for the first time; None to believe it."""
    if not comparison.loses_most:
        await store.listings.doubt(db, connection.connection_id, None)
        return None
    doubted_at = await store.listings.doubted_at(db, connection.connection_id)
    if is_believed(doubted_at, now):
        await store.listings.doubt(db, connection.connection_id, None)
        return None
    metrics.LISTS_DOUBTED.labels(connection.provider).inc()
    _log.warning(
        "account_list_doubted",
        provider=connection.provider,
        connection_id=str(connection.connection_id),
        missing=len(comparison.good_before),
    )
    await store.listings.doubt(db, connection.connection_id, now)
    return (doubted_at or now) + LOOK_AGAIN_AFTER


def next_probe(deps: Deps, connection: Connection, now: datetime) -> datetime:
    """Return one interval on, less a hashed tenth."""
    every = deps.providers[connection.provider].profile.probe_every
    return now + every * (1 - 0.1 * unit_hash(connection.connection_id, now.isoformat()))


async def report(deps: Deps, account: Account, connection: Connection, failure: Failure | None) -> bool:
    """Return a service reports what a platform answered it. Nothing is believed: a probe is pulled forward.

    But what was handed out before was not used well, so a data gap that follows does not begin with it.

    True when the report asks for a probe at all.

    Args:
        deps: what the operations of the service work with.
        account: the account that the service worked with.
        connection: its connection.
        failure: what the platform answered; None for none.

    """
    if failure is None:
        return False
    now = deps.clock.now()
    report_call("report", connection.provider, connection.connection_id, failure)
    if failure.verdict in (Verdict.RETRY_LATER, Verdict.RATE_LIMITED, Verdict.OUR_BUG):
        if failure.unrecognised or failure.verdict.pages_operators:
            async with transaction(deps.pool) as db:
                trouble = AskingFailed("report", failure.verdict, failure.code)
                await _show(db, connection.connection_id, trouble, now)
        return False
    deps.uses.refused([account.account_id])
    async with postgres.connection(deps.pool) as db:
        await store.gaps.note_refused(db, account.account_id, now)
        await store.listings.plan(db, connection.connection_id, None)
        await store.schedule.probe_now(db, [connection.connection_id], now)
    deps.committed()
    return True
