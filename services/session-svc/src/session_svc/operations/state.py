"""The one door through which a session's state reaches the database, together with the events that it is.

No other module writes a session's state or enqueues an event about one, so whoever adds a way to end a session
cannot forget to tell the verifiers (a test reads the source for it).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy, Event, EventBody, TokenStateV1
from common.outbox import enqueue
from common.postgres import Db, transaction
from session_svc.core import session as life
from session_svc.core.session import Change, EndCause, Session, SessionStatus
from session_svc.metrics import ENDED
from session_svc.operations.deps import SOURCE, Deps
from session_svc.store import people, sessions


@dataclass(frozen=True, slots=True)
class Transition:
    """A transaction in which sessions change, and the events that it will be."""

    db: Db
    sign: Callable[[bytes, datetime], str | None]
    events: list[Event[EventBody]] = field(default_factory=list)


@asynccontextmanager
async def transition(deps: Deps) -> AsyncIterator[Transition]:
    """Yield a transaction whose events leave as soon as it is committed: all by the relay, ends by the express as well.

    Raises:
        RetryableError: as `common.postgres.transaction`.

    """
    async with transaction(deps.pool) as db:
        made = Transition(db, deps.keys.sign_content)
        yield made
    if made.events:
        deps.committed()
        deps.express([event for event in made.events if life.is_urgent(event.body)])


async def open_session(tx: Transition, change: Change, secret_hash: bytes, now: datetime) -> None:
    """A new session. Its user's row is locked, so that no forced logout slips past it.

    Args:
        tx: the transaction, which collects the events.
        change: the session as it begins, with its event.
        secret_hash: the digest under which the secret is looked up.
        now: the present time, in UTC.

    """
    await sessions.insert(tx.db, change.session, secret_hash)
    await _enqueue(tx, change.events, now)


async def record(tx: Transition, changes: Sequence[Change], now: datetime) -> None:
    """Sessions whose rows are locked, as they are from now on."""
    if not changes:
        return
    await sessions.save(tx.db, [change.session for change in changes])
    bodies = [event for change in changes for event in change.events]
    await _enqueue(tx, bodies, now)
    for change in changes:
        if change.session.status is not SessionStatus.ACTIVE and change.session.end_cause is not None:
            ENDED.labels(change.session.end_cause.value).inc()


async def end(
    tx: Transition, locked: Sequence[Session], cause: EndCause, detected_by: DetectedBy, now: datetime
) -> int:
    """End these sessions; those that are over already stay as they are. Returns how many ended now.

    Args:
        tx: the transaction, which collects the events.
        locked: the sessions, locked.
        cause: why it ended.
        detected_by: how it came to be known.
        now: the present time, in UTC.

    """
    changes = [life.ended(one, cause, detected_by, now) for one in locked if one.status is SessionStatus.ACTIVE]
    await record(tx, changes, now)
    return len(changes)


async def end_all_of_user(
    tx: Transition,
    user_id: UUID,
    cause: EndCause,
    detected_by: DetectedBy,
    now: datetime,
    *,
    keep: UUID | None = None,
) -> int:
    """End every session of a user, and those in which they act as somebody else; raise the user's epoch.

    `keep` survives under the new epoch. Returns how many ended. The user's row must be locked already.

    Args:
        tx: the transaction, which collects the events.
        user_id: the person.
        cause: why it ended.
        detected_by: how it came to be known.
        now: the present time, in UTC.
        keep: a session that goes on under the new epoch; None for none.

    """
    epoch = await people.raise_epoch(tx.db, user_id)
    changes = []
    for one in await sessions.lock_live_of_user(tx.db, user_id, also_as_actor=True):
        if one.session_id == keep:
            changes.append(life.rekeyed(one, epoch))
        elif one.user_id == user_id:
            changes.append(life.ended(one, cause, detected_by, now, epoch=epoch))
        else:
            # They act as somebody else here: the epoch of that other person is not theirs to raise.
            changes.append(life.ended(one, cause, detected_by, now))
    await record(tx, changes, now)
    return sum(change.session.status is not SessionStatus.ACTIVE for change in changes)


async def restate(tx: Transition, changes: Sequence[Change], now: datetime) -> None:
    """Tell the states of locked sessions once more; nothing about them changes but the version."""
    await sessions.save(tx.db, [change.session for change in changes])
    await _enqueue(tx, [event for one in changes for event in one.events], now)


async def _enqueue(tx: Transition, bodies: Sequence[EventBody], now: datetime) -> None:
    """States are signed: verifiers refuse JWTs because of them, and nobody else may be able to say them."""

    def sign(body: EventBody, content: bytes) -> str | None:
        return tx.sign(content, now) if isinstance(body, TokenStateV1) else None

    tx.events.extend(await enqueue(tx.db, bodies, source=SOURCE, now=now, sign=sign))
