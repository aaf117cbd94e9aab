"""Publish the state of every connection again, for when `token.state` was lost or has other partitions."""

from collections.abc import Callable
from uuid import UUID

from common import outbox
from common.contracts import TokenStatus
from common.kafka import KafkaSettings
from common.outbox.republish import Republished, continued, published
from common.postgres import transaction
from oauth_svc import store
from oauth_svc.core.lifecycle import restated
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import SOURCE, Deps

BATCH = 200
_OVER = (TokenStatus.REVOKED, TokenStatus.EXPIRED)


async def republish(deps: Deps, kafka: KafkaSettings, report: Callable[[int], None]) -> Republished:
    """Put the states into the outbox, batch by batch; safe beside running services, to stop, and to repeat.

    Args:
        deps: the database and the clock.
        kafka: where the topic is read first.
        report: told after each batch how many states were published.

    Returns:
        What was done.

    """
    known = await published(kafka)
    done = Republished()
    after: UUID | None = None
    while True:
        now = deps.clock.now()
        async with transaction(deps.pool) as db:
            page = await store.connections.ids_after(db, after, BATCH)
            for connection_id, one in (await store.connections.lock(db, page)).items():
                over = one.status in _OVER
                version = continued(one.version, known.get(connection_id), over=over, done=done)
                if version is None:
                    continue
                told = restated(one, version)
                await store.connections.save(db, [told.connection])
                await outbox.enqueue(db, told.events, source=SOURCE, now=now)
                await tokens.tell_list(db, told.connection, told.connection, now)
        report(done.sent)
        if len(page) < BATCH:
            return done
        after = page[-1]
