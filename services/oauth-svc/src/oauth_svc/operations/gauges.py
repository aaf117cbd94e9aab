"""What the database says of all connections. Every replica says the same: take the `max` of the gauges, not the sum."""

from common.postgres import connection
from oauth_svc import metrics, store
from oauth_svc.operations.deps import Deps


async def count(deps: Deps) -> None:
    """Look again."""
    now = deps.clock.now()
    async with connection(deps.pool) as db:
        by_status = await store.connections.count_by_status(db)
        in_trouble = await store.connections.count_in_trouble(db, now)
        due = await store.schedule.count_due(db, now)
        troubled = await store.health.open_providers(db)
        held = await store.witness.count_held(db)
        verified = await store.risc.last_verified(db)
    for gauge in (metrics.CONNECTIONS, metrics.IN_TROUBLE, metrics.DUE):
        gauge.clear()
    for known in deps.providers:
        # Here too, and not only where the breaker acts: the replica that closes an incident is one of several.
        metrics.HELD.labels(known.profile.provider).set(held.get(known.profile.provider, 0))
        metrics.INCIDENT_OPEN.labels(known.profile.provider).set(known.profile.provider in troubled)
    for provider in deps.providers.streams:
        at = verified.get(provider)
        metrics.RISC_VERIFIED.labels(provider).set(0 if at is None else at.timestamp())
    for provider, status, number in by_status:
        metrics.CONNECTIONS.labels(provider, status).set(number)
    for provider, class_, age, number in in_trouble:
        metrics.IN_TROUBLE.labels(provider, class_, age).set(number)
    for provider, in_time, lapsed in due:
        metrics.DUE.labels(provider, "in_time").set(in_time)
        metrics.DUE.labels(provider, "lapsed").set(lapsed)
