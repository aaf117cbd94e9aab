"""Lines that failed, or whose outcome is unknown: an operator has them delivered again."""

from datetime import datetime
from uuid import UUID

from common.contracts import NoticeChannel
from common.postgres import Db
from notifier.core.deliveries import Kind, WantedDelivery

_FAILED = "l.state = 'failed' AND l.finished_at >= $2 AND ($1::uuid IS NULL OR l.notice_id = $1)"


async def notices(db: Db, notice_id: UUID | None, since: datetime) -> list[UUID]:
    """Notices with a line that failed, or whose outcome is unknown, since then; or this one, if it has."""
    rows = await db.fetch(f"SELECT DISTINCT l.notice_id FROM delivery_line l WHERE {_FAILED}", notice_id, since)
    return [row["notice_id"] for row in rows]


async def take(db: Db, notice_id: UUID | None, since: datetime, now: datetime) -> list[WantedDelivery]:
    """Take these lines out, as lines that are wanted again.

    Args:
        db: the connection or the transaction to use.
        notice_id: the notice; None for all.
        since: only what ended after this time, in UTC.
        now: the present time, in UTC.

    """
    rows = await db.fetch(
        f"""DELETE FROM delivery_line l USING notice n, delivery d
             WHERE {_FAILED} AND n.notice_id = l.notice_id AND d.delivery_id = l.delivery_id
         RETURNING l.notice_id, n.user_id, n.workspace_id, l.channel, l.purpose, l.stage, d.edits""",
        notice_id,
        since,
    )
    return [
        WantedDelivery(
            notice_id=row["notice_id"],
            user_id=row["user_id"],
            workspace_id=row["workspace_id"],
            channel=NoticeChannel(row["channel"]),
            kind=Kind(row["purpose"]),
            due_at=now,
            stage=row["stage"],
            edits=row["edits"],
        )
        for row in rows
    ]
