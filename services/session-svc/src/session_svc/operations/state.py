"""The one door through which a session's state reaches the database, together with the events that it is.

No other module writes a session's state or enqueues an event about one, so whoever adds a way to end a session
cannot forget to tell the verifiers (a test reads the source for it).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy
from common.outbox import enqueue
from common.postgres import Connection
from session_svc.core import session as life
from session_svc.core.session import Change, EndCause, Session, Status
from session_svc.metrics import ENDED
from session_svc.operations.deps import SOURCE
from session_svc.store import people, sessions


async def open_session(connection: Connection, change: Change, secret_hash: bytes, now: datetime) -> None:
    """A new session. Its user's row is locked, so that no forced logout slips past it."""
    await sessions.insert(connection, change.session, secret_hash)
    await enqueue(connection, change.events, source=SOURCE, now=now)


async def record(connection: Connection, changes: Sequence[Change], now: datetime) -> None:
    """Sessions whose rows are locked, as they are from now on."""
    if not changes:
        return
    await sessions.save(connection, [change.session for change in changes])
    await enqueue(connection, [event for change in changes for event in change.events], source=SOURCE, now=now)
    for change in changes:
        if change.session.status is not Status.ACTIVE and change.session.end_cause is not None:
            ENDED.labels(change.session.end_cause.value).inc()


async def end(
    connection: Connection, locked: Sequence[Session], cause: EndCause, detected_by: DetectedBy, now: datetime
) -> int:
    """End these sessions; those that are over already stay as they are. Returns how many ended now."""
    changes = [life.ended(one, cause, detected_by, now) for one in locked if one.status is Status.ACTIVE]
    await record(connection, changes, now)
    return len(changes)


async def end_all_of_user(
    connection: Connection,
    user_id: UUID,
    cause: EndCause,
    detected_by: DetectedBy,
    now: datetime,
    *,
    keep: UUID | None = None,
) -> int:
    """End every session of a user, and those in which they act as somebody else; raise the user's epoch.

    `keep` survives under the new epoch. Returns how many ended. The user's row must be locked already.
    """
    epoch = await people.raise_epoch(connection, user_id)
    changes = []
    for one in await sessions.lock_live_of_user(connection, user_id, also_as_actor=True):
        if one.session_id == keep:
            changes.append(life.rekeyed(one, epoch))
        elif one.user_id == user_id:
            changes.append(life.ended(one, cause, detected_by, now, epoch=epoch))
        else:
            # They act as somebody else here: the epoch of that other person is not theirs to raise.
            changes.append(life.ended(one, cause, detected_by, now))
    await record(connection, changes, now)
    return sum(change.session.status is not Status.ACTIVE for change in changes)
