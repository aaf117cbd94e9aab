"""Platforms' own signals: verified on the raw bytes, taken once, and applied to every connection that they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import transaction
from common.runtime.errors import RetryableError
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core.changes import Change, Revoked
from oauth_svc.core.connection import Connection
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import PlatformError, Signal, WebhookRefusedError

_log = get_logger(__name__)

CLOCK_GRAIN = timedelta(seconds=2)
"""Platforms tell whole seconds, on their own clock."""

SECOND_LOOK = timedelta(minutes=1)
"""A grant that a signal ended is asked about after this: the credential is kept, and a signal can be mistaken."""


@dataclass(frozen=True, slots=True)
class WebhookEffect:
    """What a webhook did: how many connections it ended, and the code under which a deletion can be looked up."""

    ended: int
    deletion: str | None


async def receive(deps: Deps, provider_id: str, raw: bytes, headers: Mapping[str, str]) -> WebhookEffect:
    """Take a webhook. Raises `WebhookRefusedError`, having changed nothing.

    Args:
        deps: what the operations of the service work with.
        provider_id: the provider's id, such as `google-ads`.
        raw: the body, byte by byte as it came.
        headers: the request's headers.

    """
    provider = deps.providers[provider_id]
    try:
        signals = await provider.read_webhook(raw, headers, deps.clock.now())
    except PlatformError as error:
        raise RetryableError("the platform's keys are not to be had") from error
    except WebhookRefusedError:
        metrics.WEBHOOKS.labels(provider_id, "refused").inc()
        raise
    ended = 0
    for signal in signals:
        ended += await _apply(deps, provider_id, signal)
    return WebhookEffect(ended, next((signal.deletion for signal in signals if signal.deletion), None))


async def _apply(deps: Deps, provider_id: str, signal: Signal) -> int:
    now = deps.clock.now()
    family = deps.providers[provider_id].profile.subject_family
    providers = [p.profile.provider for p in deps.providers if p.profile.subject_family == family]
    async with transaction(deps.pool) as db:
        if not await store.states.take_webhook(db, provider_id, signal.message_id, now):
            metrics.WEBHOOKS.labels(provider_id, "repeated").inc()
            return 0
        if signal.verifies is not None:
            await store.risc.verified(db, provider_id, signal.verifies, now)
        covered = await _covered(db, providers, signal)
        if signal.deletion is not None:
            await store.deletions.add(db, signal.deletion, provider_id, signal.subject, now)
        locked = await store.connections.lock(db, covered)
        cause = signal.cause
        meant: dict[UUID, Change] = {
            key: Revoked(cause, DetectedBy.WEBHOOK)
            for key, connection in locked.items()
            if cause is not None and proves(signal, provider_id, connection)
        }
        await store.schedule.probe_now(db, [key for key in locked if key not in meant], now)
        await tokens.change(db, locked, meant, now)
        await store.schedule.look_once_more(db, list(meant), now + SECOND_LOOK)
    deps.committed()
    metrics.WEBHOOKS.labels(provider_id, "taken").inc()
    _log.info("webhook_taken", provider=provider_id, cause=cause.value if cause else None, connections=len(meant))
    return len(meant)


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of a request to delete a person's data. `erased_by` is None where nothing is left to erase."""

    received_at: datetime
    known: bool
    erased_by: datetime | None


async def deletion(deps: Deps, provider_id: str, code: str) -> Deletion | None:
    """Return what became of a request; None for a code that was never given."""
    row = await store.deletions.get(deps.pool, provider_id, code)
    if row is None:
        return None
    erased_by = row.received_at + deps.limits.signal_grace if row.kept else None
    return Deletion(row.received_at, row.connections > 0, erased_by)


def proves(signal: Signal, provider_id: str, connection: Connection) -> bool:
    """Return whether a signal that names a cause is proof that this grant is over. Otherwise the platform is asked.

    One that happened before the present authorisation is about the grant before. One about another client of ours, or
    for another product of the same platform, says nothing about this grant.
    """
    return signal.own and connection.provider == provider_id and signal.at + CLOCK_GRAIN >= connection.authorized_at


async def _covered(db: store.Db, providers: Sequence[str], signal: Signal) -> list[UUID]:
    if signal.digest is not None:
        return await store.credentials.ids_of_digest(db, providers, signal.digest)
    if signal.subject is None:
        return []
    return await store.connections.ids_of_subject(db, providers, signal.subject)
