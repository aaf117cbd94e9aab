"""What each person was told."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Record
from notifier.core.notices import Condition, Notice
from notifier.store.conditions import COLUMNS as CONDITION_COLUMNS
from notifier.store.conditions import condition_of

COLUMNS = f"""n.notice_id, n.user_id, n.workspace_id AS notice_workspace_id, n.version, n.created_at, n.read_at,
{CONDITION_COLUMNS}"""


async def save(db: Db, found: Sequence[Notice]) -> None:
    """Write notices as they are from now on, new ones included. Those that exist are locked by the caller."""
    await db.execute(
        """INSERT INTO notice (notice_id, condition_id, user_id, workspace_id, version, created_at, read_at)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[],
                                $7::timestamptz[])
           ON CONFLICT (notice_id) DO UPDATE SET version = excluded.version, read_at = excluded.read_at""",
        [notice.notice_id for notice in found],
        [notice.condition.condition_id for notice in found],
        [notice.user_id for notice in found],
        [notice.workspace_id for notice in found],
        [notice.version for notice in found],
        [notice.created_at for notice in found],
        [notice.read_at for notice in found],
    )


async def lock(db: Db, notice_ids: Collection[UUID]) -> None:
    """Lock notices before lines of theirs are changed: everybody who changes both takes them in this order."""
    await db.execute(
        "SELECT 1 FROM notice WHERE notice_id = ANY($1::uuid[]) ORDER BY notice_id FOR UPDATE", list(notice_ids)
    )


async def lock_of_conditions(db: Db, conditions: Sequence[Condition]) -> dict[UUID, tuple[Notice, ...]]:
    """Return the notices of conditions (which the caller has locked), by condition."""
    return await _by_condition(
        db, "condition_id = ANY($1::uuid[])", conditions, [condition.condition_id for condition in conditions]
    )


async def lock_these(
    db: Db, notice_ids: Collection[UUID], conditions: Sequence[Condition]
) -> dict[UUID, tuple[Notice, ...]]:
    """Return these notices, by condition."""
    return await _by_condition(db, "notice_id = ANY($1::uuid[])", conditions, list(notice_ids))


async def page(
    db: Db,
    *,
    user_id: UUID,
    workspace_id: UUID,
    before: UUID | None,
    state: str | None,
    limit: int,
) -> list[Notice]:
    """Return a person's notices in a workspace, newest first. Notices of platform incidents belong to all.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        workspace_id: the workspace.
        before: where the page begins: with what is older than this one; None for the newest page.
        state: `open`, `over`, or None for both.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        f"""SELECT {COLUMNS} FROM notice n JOIN condition c USING (condition_id)
             WHERE n.user_id = $1 AND (n.workspace_id = $2 OR c.workspace_id IS NULL)
               AND ($3::uuid IS NULL OR n.notice_id < $3) AND c.held_by IS NULL
               AND ($4::text IS NULL OR (c.resolved_at IS NULL) = ($4 = 'open'))
             ORDER BY n.notice_id DESC LIMIT $5""",
        user_id,
        workspace_id,
        before,
        state,
        limit,
    )
    return [notice_of(row) for row in rows]


async def get(db: Db, notice_id: UUID, *, user_id: UUID, workspace_id: UUID) -> Notice | None:
    """Return one notice of a person; None if there is no such notice for them.

    Args:
        db: the connection or the transaction to use.
        notice_id: the notice.
        user_id: the person.
        workspace_id: the workspace.

    """
    row = await db.fetchrow(
        f"""SELECT {COLUMNS} FROM notice n JOIN condition c USING (condition_id)
             WHERE n.notice_id = $1 AND n.user_id = $2 AND (n.workspace_id = $3 OR c.workspace_id IS NULL)
               AND c.held_by IS NULL""",
        notice_id,
        user_id,
        workspace_id,
    )
    return None if row is None else notice_of(row)


async def successors(db: Db, user_id: UUID, notice_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """For each of these notices of a person, the next one that they have about the same subject."""
    rows = await db.fetch(
        """SELECT DISTINCT ON (n.notice_id) n.notice_id, later.notice_id AS successor
             FROM notice n JOIN condition c USING (condition_id)
             JOIN condition lc ON lc.token_id = c.token_id AND lc.condition_id <> c.condition_id AND lc.held_by IS NULL
             JOIN notice later ON later.condition_id = lc.condition_id AND later.user_id = n.user_id
            WHERE n.notice_id = ANY($1::uuid[]) AND n.user_id = $2 AND later.notice_id > n.notice_id
              AND lc.raised_at >= c.resolved_at
            ORDER BY n.notice_id, later.notice_id""",
        list(notice_ids),
        user_id,
    )
    return {row["notice_id"]: row["successor"] for row in rows}


async def unread(db: Db, *, user_id: UUID, workspace_id: UUID) -> int:
    count: int = await db.fetchval(
        """SELECT count(*) FROM notice n JOIN condition c USING (condition_id)
            WHERE n.user_id = $1 AND (n.workspace_id = $2 OR c.workspace_id IS NULL)
              AND n.read_at IS NULL AND c.resolved_at IS NULL AND c.held_by IS NULL""",
        user_id,
        workspace_id,
    )
    return count


async def mark_read(db: Db, notice_id: UUID, *, user_id: UUID, workspace_id: UUID, now: datetime) -> bool:
    """False when this person has no such notice.

    Args:
        db: the connection or the transaction to use.
        notice_id: the notice.
        user_id: the person.
        workspace_id: the workspace.
        now: the present time, in UTC.

    """
    status = await db.execute(
        """UPDATE notice n SET read_at = coalesce(n.read_at, $4) FROM condition c
            WHERE n.notice_id = $1 AND n.user_id = $2 AND c.condition_id = n.condition_id
              AND (n.workspace_id = $3 OR c.workspace_id IS NULL) AND c.held_by IS NULL""",
        notice_id,
        user_id,
        workspace_id,
        now,
    )
    return status == "UPDATE 1"


async def _by_condition(
    db: Db, where: str, conditions: Sequence[Condition], ids: list[UUID]
) -> dict[UUID, tuple[Notice, ...]]:
    known = {condition.condition_id: condition for condition in conditions}
    found: dict[UUID, list[Notice]] = {condition_id: [] for condition_id in known}
    for row in await db.fetch(
        f"""SELECT notice_id, condition_id, user_id, workspace_id AS notice_workspace_id, version, created_at, read_at
              FROM notice WHERE {where} ORDER BY notice_id FOR UPDATE""",
        ids,
    ):
        found[row["condition_id"]].append(_notice(row, known[row["condition_id"]]))
    return {condition_id: tuple(notices) for condition_id, notices in found.items()}


def notice_of(row: Record) -> Notice:
    return _notice(row, condition_of(row))


def _notice(row: Record, condition: Condition) -> Notice:
    return Notice(
        notice_id=row["notice_id"],
        user_id=row["user_id"],
        workspace_id=row["notice_workspace_id"],
        version=row["version"],
        created_at=row["created_at"],
        read_at=row["read_at"],
        condition=condition,
    )
