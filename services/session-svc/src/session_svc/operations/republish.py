"""Publish the state of every session again, for when `token.state` was lost or has other partitions."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from common.kafka import KafkaSettings
from common.outbox.republish import Republished, continued, published
from common.postgres import Pool, transaction
from session_svc.core import session as life
from session_svc.core.session import SessionStatus
from session_svc.operations import state
from session_svc.operations.keys import SigningKeys
from session_svc.store import sessions

BATCH = 500


async def republish(
    pool: Pool, keys: SigningKeys, kafka: KafkaSettings, now: datetime, report: Callable[[int], None]
) -> Republished:
    """Put the states into the outbox, batch by batch; safe beside running services, to stop, and to repeat.

    Args:
        pool: the database of the sessions.
        keys: sign the states.
        kafka: where the topic is read first.
        now: the time of the events.
        report: told after each batch how many states were published.

    Returns:
        What was done.

    """
    known = await published(kafka)
    done = Republished()
    after: UUID | None = None
    while True:
        async with transaction(pool) as db:
            page = await sessions.lock_page(db, after, BATCH)
            changes = []
            for one in page:
                over = one.status is not SessionStatus.ACTIVE
                version = continued(one.version, known.get(one.session_id), over=over, done=done)
                if version is not None:
                    changes.append(life.restated(one, version))
            await state.restate(state.Transition(db, keys.sign_content), changes, now)
        report(done.sent)
        if len(page) < BATCH:
            return done
        after = page[-1].session_id
