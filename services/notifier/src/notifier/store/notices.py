"""What each person was told."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from common.postgres import Connection, Record
from notifier.core.notices import Notice
from notifier.store.conditions import COLUMNS as CONDITION_COLUMNS
from notifier.store.conditions import condition_of

COLUMNS = f"""n.notice_id, n.user_id, n.workspace_id AS notice_workspace_id, n.version, n.created_at, n.read_at,
{CONDITION_COLUMNS}"""


async def add(
    connection: Connection, condition_id: UUID, people: Sequence[tuple[UUID, UUID, UUID]], now: datetime
) -> frozenset[UUID]:
    """Add (notice, user, workspace) rows; returns the ids of those that are new. The others were told already."""
    rows = await connection.fetch(
        """INSERT INTO notice (notice_id, condition_id, user_id, workspace_id, created_at)
           SELECT notice_id, $1, user_id, workspace_id, $5
             FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS told (notice_id, user_id, workspace_id)
           ON CONFLICT (condition_id, user_id) DO NOTHING RETURNING notice_id""",
        condition_id,
        [row[0] for row in people],
        [row[1] for row in people],
        [row[2] for row in people],
        now,
    )
    return frozenset(row["notice_id"] for row in rows)


async def of_condition(connection: Connection, condition_id: UUID) -> list[Notice]:
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM notice n JOIN condition c USING (condition_id)
             WHERE n.condition_id = $1 ORDER BY n.notice_id""",
        condition_id,
    )
    return [notice_of(row) for row in rows]


async def bump(connection: Connection, notice_ids: Collection[UUID], *, unread: bool = False) -> dict[UUID, int]:
    """Raise the versions of changed notices (and lock them); returns the new ones. `unread`: worth a second look."""
    rows = await connection.fetch(
        """WITH locked AS MATERIALIZED (
             SELECT notice_id FROM notice WHERE notice_id = ANY($1::uuid[]) ORDER BY notice_id FOR UPDATE)
           UPDATE notice n SET version = version + 1, read_at = CASE WHEN $2 THEN NULL ELSE read_at END
             FROM locked WHERE n.notice_id = locked.notice_id RETURNING n.notice_id, n.version""",
        list(notice_ids),
        unread,
    )
    return {row["notice_id"]: row["version"] for row in rows}


async def page(
    connection: Connection,
    *,
    user_id: UUID,
    workspace_id: UUID,
    before: UUID | None,
    state: str | None,
    limit: int,
) -> list[Notice]:
    """A person's notices in a workspace, the newest first. A platform's incident is nobody's workspace's alone."""
    rows = await connection.fetch(
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


async def get(connection: Connection, notice_id: UUID, *, user_id: UUID, workspace_id: UUID) -> Notice | None:
    row = await connection.fetchrow(
        f"""SELECT {COLUMNS} FROM notice n JOIN condition c USING (condition_id)
             WHERE n.notice_id = $1 AND n.user_id = $2 AND (n.workspace_id = $3 OR c.workspace_id IS NULL)
               AND c.held_by IS NULL""",
        notice_id,
        user_id,
        workspace_id,
    )
    return None if row is None else notice_of(row)


async def unread(connection: Connection, *, user_id: UUID, workspace_id: UUID) -> int:
    count: int = await connection.fetchval(
        """SELECT count(*) FROM notice n JOIN condition c USING (condition_id)
            WHERE n.user_id = $1 AND (n.workspace_id = $2 OR c.workspace_id IS NULL)
              AND n.read_at IS NULL AND c.resolved_at IS NULL AND c.held_by IS NULL""",
        user_id,
        workspace_id,
    )
    return count


async def mark_read(
    connection: Connection, notice_id: UUID, *, user_id: UUID, workspace_id: UUID, now: datetime
) -> bool:
    """False when this person has no such notice."""
    status = await connection.execute(
        """UPDATE notice n SET read_at = coalesce(n.read_at, $4) FROM condition c
            WHERE n.notice_id = $1 AND n.user_id = $2 AND c.condition_id = n.condition_id
              AND (n.workspace_id = $3 OR c.workspace_id IS NULL) AND c.held_by IS NULL""",
        notice_id,
        user_id,
        workspace_id,
        now,
    )
    return status == "UPDATE 1"


async def followed_conditions(connection: Connection, notice_ids: Collection[UUID]) -> list[UUID]:
    """The conditions of these notices that ended meanwhile in a way worth a message."""
    rows = await connection.fetch(
        """SELECT DISTINCT c.condition_id FROM notice n JOIN condition c USING (condition_id)
            WHERE n.notice_id = ANY($1::uuid[]) AND c.resolution IN ('renewed', 'closed')""",
        list(notice_ids),
    )
    return [row["condition_id"] for row in rows]


def notice_of(row: Record) -> Notice:
    return Notice(
        notice_id=row["notice_id"],
        user_id=row["user_id"],
        workspace_id=row["notice_workspace_id"],
        version=row["version"],
        created_at=row["created_at"],
        read_at=row["read_at"],
        condition=condition_of(row),
    )
