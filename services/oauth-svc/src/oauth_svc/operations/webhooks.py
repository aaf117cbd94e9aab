"""Platforms' own signals: verified on the raw bytes, taken once, and applied to every connection that they cover."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from common.contracts import DetectedBy
from common.postgres import transaction
from common.runtime.errors import RetryableError
from common.telemetry.logs import get_logger
from oauth_svc import metrics, store
from oauth_svc.core.lifecycle import Change, Revoked
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import PlatformError, Signal, WebhookRefusedError

_log = get_logger(__name__)

CLOCK_GRAIN = timedelta(seconds=2)
"""Platforms tell whole seconds, on their own clock."""


async def receive(deps: Deps, provider_id: str, raw: bytes, headers: Mapping[str, str]) -> int:
    """Take a webhook; how many connections it ended. Raises `WebhookRefusedError`, having changed nothing."""
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
    return ended


async def _apply(deps: Deps, provider_id: str, signal: Signal) -> int:
    now = deps.clock.now()
    family = deps.providers[provider_id].profile.subject_family
    providers = [p.profile.provider for p in deps.providers if p.profile.subject_family == family]
    async with transaction(deps.pool) as db:
        if not await store.states.take_webhook(db, provider_id, signal.message_id, now):
            metrics.WEBHOOKS.labels(provider_id, "repeated").inc()
            return 0
        covered = await _covered(db, providers, signal)
        locked = await store.connections.lock(db, covered)
        cause = signal.cause
        # One that was on its way while the person consented again is about the grant before.
        meant: dict[UUID, Change] = {
            key: Revoked(cause, DetectedBy.WEBHOOK)
            for key, connection in locked.items()
            if cause is not None and signal.at + CLOCK_GRAIN >= connection.authorized_at
        }
        await store.schedule.probe_now(db, [key for key in locked if key not in meant], now)
        await tokens.change(db, locked, meant, now)
        for key in meant:  # the platform has ended it: what is left is of no use, and a person may have asked for that
            await store.credentials.forget(db, key)
    deps.committed()
    metrics.WEBHOOKS.labels(provider_id, "taken").inc()
    _log.info("webhook_taken", provider=provider_id, cause=cause.value if cause else None, connections=len(meant))
    return len(meant)


async def _covered(db: store.Db, providers: Sequence[str], signal: Signal) -> list[UUID]:
    if signal.digest is not None:
        return await store.credentials.ids_of_digest(db, providers, signal.digest)
    if signal.subject is None:
        return []
    return await store.connections.ids_of_subject(db, providers, signal.subject)
