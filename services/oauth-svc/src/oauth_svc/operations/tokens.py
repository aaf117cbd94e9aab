"""The one place where a token's state changes: row lock, version, outbox and data gaps in one transaction.

Every path ends here (a new grant, a refresh, a probe, a webhook, the sweep, a person), so none can forget the event.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts import AccountAccess, DataGapClosedV1, EventBody, RevocationCause, TokenStatus
from common.platforms import PLATFORMS
from common.postgres import Db
from common.runtime import ids
from oauth_svc import metrics, store
from oauth_svc.core.accounts import Comparison, pages
from oauth_svc.core.changes import AccountsChanged, Change, Confirmed, Refreshed
from oauth_svc.core.connection import Connection, ended_as, public_name
from oauth_svc.core.gaps import of_grant
from oauth_svc.core.grant import died_in_testing
from oauth_svc.core.lifecycle import Applied, apply
from oauth_svc.core.reconsent import Word
from oauth_svc.operations.deps import SOURCE


async def change(
    db: Db, locked: Mapping[UUID, Connection], changes: Mapping[UUID, Change], now: datetime
) -> dict[UUID, Connection]:
    """Apply changes to connections that this transaction has locked; returns all of them as they are now.

    Those that end are taken off the schedule and their accounts' gaps are opened; those that come back have their
    gaps closed.

    Args:
        db: the connection or the transaction to use.
        locked: the connections, locked, by id.
        changes: what happens to each, by id.
        now: the present time, in UTC.

    """
    results: dict[UUID, Connection] = dict(locked)
    saved: list[Connection] = []
    events: list[EventBody] = []
    ended: list[Connection] = []
    revived: list[Connection] = []
    living: list[UUID] = []
    understood: list[UUID] = []
    for connection_id, wanted in changes.items():
        before = locked.get(connection_id)
        if before is None:
            continue
        applied = apply(before, wanted, now)
        results[connection_id] = applied.connection
        if applied.connection != before:
            saved.append(applied.connection)
        if before.doubted and not applied.connection.doubted:
            (living if isinstance(wanted, Refreshed | Confirmed) else understood).append(connection_id)
        events.extend(applied.events)
        _sort(before, applied, ended, revived)
    await store.connections.save(db, saved)
    if living:
        await store.doubts.say(db, living, Word.LIVES.value)
    if understood:
        await store.doubts.drop(db, understood)
    if ended:
        await end(db, ended)
    if revived:
        events.extend(await close_gaps(db, revived, now))
    await outbox.enqueue(db, events, source=SOURCE, now=now)
    return results


async def change_accounts(db: Db, connection: Connection, comparison: Comparison, now: datetime) -> Connection:
    """Write what a listing changed; tell it, at a new version, if any account's access changed.

    Args:
        db: the connection or the transaction to use.
        connection: the connection.
        comparison: what a listing has changed.
        now: the present time, in UTC.

    """
    await store.accounts.save(db, [(connection, comparison.to_write)])
    fresh = connection.with_accounts(comparison.accounts)
    if not comparison.told:
        return fresh
    applied = apply(fresh, AccountsChanged(), now)
    await store.connections.save(db, [applied.connection])
    await tell_accounts(db, applied.connection, comparison, now)
    await outbox.enqueue(db, applied.events, source=SOURCE, now=now)
    await tell_list(db, applied.connection, connection, now)
    return applied.connection


async def tell_list(db: Db, connection: Connection, before: Connection, now: datetime) -> None:
    """Send the pages of a list of accounts that is too long for one event.

    Args:
        db: the connection or the transaction to use.
        connection: the connection.
        before: the connection as it was before the listing.
        now: the present time, in UTC.

    """
    reached = sum(account.access is AccountAccess.GRANTED for account in before.accounts)
    await outbox.enqueue(db, pages(connection, reached), source=SOURCE, now=now)


async def tell_accounts(db: Db, connection: Connection, comparison: Comparison, now: datetime) -> None:
    """`account.access_changed` for each account whose access changed, and its gap opened or closed.

    Args:
        db: the connection or the transaction to use.
        connection: the connection.
        comparison: what a listing has changed.
        now: the present time, in UTC.

    """
    lost = [a for a in comparison.told if a.access is AccountAccess.LOST]
    regained = [a.account_id for a in comparison.told if a.access is AccountAccess.GRANTED]
    await store.gaps.open_gaps(
        db,
        [
            (
                ids.new_id(),
                a.account_id,
                connection.connection_id,
                connection.workspace_id,
                comparison.good_before.get(a.account_id, connection.last_good_at),
                (a.cause or RevocationCause.PERMISSION_CHANGED).value,
            )
            for a in lost
        ],
    )
    events = [*comparison.events(connection), *await _gap_events(db, connection, regained, now)]
    await outbox.enqueue(db, events, source=SOURCE, now=now)


async def close_gaps(db: Db, connections: Sequence[Connection], now: datetime) -> list[EventBody]:
    """Return the gaps of every account that these connections reach again."""
    events: list[EventBody] = []
    for connection in connections:
        reached = [a.account_id for a in connection.accounts if a.access is AccountAccess.GRANTED]
        events.extend(await _gap_events(db, connection, reached, now))
    return events


async def _gap_events(db: Db, connection: Connection, account_ids: Sequence[UUID], now: datetime) -> list[EventBody]:
    return [
        DataGapClosedV1.model_construct(
            gap_id=gap.gap_id,
            account_id=gap.account_id,
            account_name=public_name(gap.account_name),
            token_id=connection.connection_id,
            workspace_id=connection.workspace_id,
            owner_user_id=connection.owner_user_id,
            provider=connection.provider,
            version=connection.version,
            from_=gap.from_at,
            to=gap.to_at or now,
            cause=RevocationCause(gap.cause) if gap.cause else None,
        )
        for gap in await store.gaps.close_gaps(db, account_ids, now)
    ]


async def end(db: Db, ended: Sequence[Connection]) -> None:
    """Take connections that have ended off the schedule, and open the gaps of their accounts."""
    await store.schedule.stop(db, [connection.connection_id for connection in ended])
    gaps: list[tuple[UUID, UUID, UUID, UUID, datetime, str | None]] = []
    for connection in ended:
        metrics.ENDED.labels(connection.provider, ended_as(connection.status, connection.cause)).inc()
        life = PLATFORMS[connection.provider].testing_life if connection.provider in PLATFORMS else None
        lived = connection.since - connection.authorized_at
        if life is not None and connection.cause is None and died_in_testing(lived, life):
            metrics.IN_TESTING.labels(connection.provider, "ended").inc()
        gaps.extend(
            (
                ids.new_id(),
                account.account_id,
                connection.connection_id,
                connection.workspace_id,
                of_grant(connection, account),
                _gap_cause(connection),
            )
            for account in connection.accounts
            if account.access is AccountAccess.GRANTED
        )
    await store.gaps.open_gaps(db, gaps)


def _gap_cause(connection: Connection) -> str | None:
    """Why data is missing: null for a full expiry; an end without a stated cause is the platform's."""
    if connection.status is TokenStatus.EXPIRED:
        return None
    return (connection.cause or RevocationCause.PLATFORM_ENFORCED).value


def _sort(before: Connection, applied: Applied, ended: list[Connection], revived: list[Connection]) -> None:
    if before.status.alive and not applied.connection.status.alive:
        ended.append(applied.connection)
    elif not before.status.alive and applied.connection.status.alive:
        revived.append(applied.connection)
