"""Events of other services. Inbox, copy, notices and messages change in one transaction, or not at all."""

from datetime import datetime

from common.contracts import Event, EventBody, TokenEvent, TokenKind
from common.outbox import accept
from common.postgres import transaction
from notifier import metrics
from notifier.operations import telling
from notifier.operations.deps import CONSUMER, Deps


async def take(deps: Deps, event: Event[EventBody], now: datetime) -> None:
    """Apply one event, once.

    Raises:
        RetryableError: the database is away.

    """
    body = event.body
    if isinstance(body, TokenEvent) and body.token.kind is TokenKind.SESSION:
        return  # sessions have no notices; there are too many of them to keep copies for nothing
    async with transaction(deps.pool) as db:
        if not await accept(db, CONSUMER, event.id):
            metrics.EVENTS.labels("repeated").inc()
            return
        await telling.take(db, deps, body, now)
    deps.committed()
