"""Sessions that end take the codes along that they made: whoever held one briefly keeps no way to the notices."""

from datetime import datetime

from common.contracts import DetectedBy, Event, EventBody, RevocationCause, TokenKind, TokenRevokedV1, TokenStateV1
from common.outbox import enqueue
from common.postgres import Db, transaction
from notifier.channels.telegram import facts, store
from notifier.channels.telegram.rules import Code, CodeState
from notifier.operations.deps import SOURCE, Deps


async def follow(deps: Deps, event: Event[EventBody], now: datetime) -> None:
    """End the codes of a session that ended, and of a person whose sessions all did (their epoch was raised).

    The same event again changes nothing.

    Raises:
        RetryableError: the database is away.

    """
    body = event.body
    if not isinstance(body, TokenRevokedV1 | TokenStateV1) or body.token.kind is not TokenKind.SESSION:
        return
    over = isinstance(body, TokenRevokedV1)
    if body.user_epoch is None and not over:
        return
    async with transaction(deps.pool) as db:
        found = await store.codes_to_end(
            db,
            session_id=body.token.token_id if over else None,
            user_id=body.token.owner_user_id,
            below_epoch=body.user_epoch or 0,
        )
        for code in found:
            await cancel(db, code, now)
    if found:
        deps.committed()


async def cancel(db: Db, code: Code, now: datetime) -> None:
    """End a waiting code that nobody is to use any more."""
    await store.set_code(db, code.token_id, CodeState.CANCELLED, code.version + 1)
    bodies = facts.revoked(code, RevocationCause.UNLINKED, DetectedBy.USER, now)
    await enqueue(db, bodies, source=SOURCE, now=now)
