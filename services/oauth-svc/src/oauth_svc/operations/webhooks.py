"""Platforms' own signals: verified on the raw bytes, taken once, and applied to every connection that they cover."""

from collections.abc import Mapping
from datetime import timedelta

from common.contracts import DetectedBy
from common.postgres import transaction
from common.telemetry import logs
from oauth_svc import metrics, store
from oauth_svc.core.lifecycle import Revoked
from oauth_svc.providers.base import Signal, WebhookRefusedError

from . import tokens
from .deps import Deps

log = logs.get_logger("webhook")

CLOCK_GRAIN = timedelta(seconds=2)
"""Platforms tell whole seconds, on their own clock."""


async def receive(deps: Deps, provider_id: str, raw: bytes, headers: Mapping[str, str]) -> int:
    """Take a webhook; how many connections it ended. Raises `WebhookRefusedError`, having changed nothing."""
    provider = deps.providers[provider_id]
    try:
        signals = provider.read_webhook(raw, headers, deps.clock.now())
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
        covered = await store.connections.ids_of_subject(db, providers, signal.subject or "")
        locked = await store.connections.lock(db, covered)
        # One that was on its way while the person consented again is about the grant before.
        meant = {
            key: Revoked(signal.cause, DetectedBy.WEBHOOK)
            for key, connection in locked.items()
            if signal.at + CLOCK_GRAIN >= connection.authorized_at
        }
        await store.schedule.probe_now(db, [key for key in locked if key not in meant], now)
        await tokens.change(db, locked, meant, now)
    deps.poke_relay()
    metrics.WEBHOOKS.labels(provider_id, "taken").inc()
    log.info("webhook_taken", provider=provider_id, cause=signal.cause.value, connections=len(meant))
    return len(meant)
