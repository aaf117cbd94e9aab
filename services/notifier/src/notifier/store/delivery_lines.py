"""Lines of deliveries: which notices a message is about, and what became of each."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Record
from notifier.core.deliveries import Kind, Line
from notifier.store.notices import COLUMNS as NOTICE_COLUMNS
from notifier.store.notices import notice_of


async def of(db: Db, delivery_ids: Collection[UUID]) -> list[Line]:
    """Return the lines that still wait, in the order of their notices."""
    rows = await db.fetch(
        f"""SELECT l.delivery_id, l.purpose, l.stage AS line_stage, {NOTICE_COLUMNS}
              FROM delivery_line l JOIN notice n USING (notice_id) JOIN condition c USING (condition_id)
             WHERE l.delivery_id = ANY($1::uuid[]) AND l.state = 'waiting' ORDER BY n.notice_id""",
        list(delivery_ids),
    )
    return [_line(row) for row in rows]


async def sent(db: Db, delivery_ids: Collection[UUID]) -> list[Line]:
    """Return the lines of messages that are out: an edit says all of them again, as they are now."""
    rows = await db.fetch(
        f"""SELECT l.delivery_id, l.purpose, l.stage AS line_stage, {NOTICE_COLUMNS}
              FROM delivery_line l JOIN notice n USING (notice_id) JOIN condition c USING (condition_id)
             WHERE l.delivery_id = ANY($1::uuid[]) AND l.state = 'sent' ORDER BY n.notice_id""",
        list(delivery_ids),
    )
    return [_line(row) for row in rows]


async def drop(db: Db, drops: Sequence[tuple[UUID, UUID, Kind, str]], now: datetime) -> None:
    """Drop (delivery, notice, purpose, reason) lines."""
    if not drops:
        return
    await db.execute(
        """UPDATE delivery_line l SET state = 'dropped', reason = d.reason, finished_at = $5
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
               AS d (delivery_id, notice_id, purpose, reason)
            WHERE l.delivery_id = d.delivery_id AND l.notice_id = d.notice_id AND l.purpose = d.purpose
              AND l.state = 'waiting'""",
        [drop[0] for drop in drops],
        [drop[1] for drop in drops],
        [drop[2].value for drop in drops],
        [drop[3] for drop in drops],
        now,
    )


async def finish(
    db: Db,
    keys: Sequence[tuple[UUID, UUID, str]],
    *,
    state: str,
    reason: str,
    now: datetime,
) -> None:
    """Close (delivery, notice, stage) lines: those that were really in the message, dropped meanwhile or not.

    Args:
        db: the connection or the transaction to use.
        keys: deliveries, notices and stages.
        state: the new state.
        reason: why a line was dropped; None if it was sent.
        now: the present time, in UTC.

    """
    await db.execute(
        """UPDATE delivery_line l SET state = $4, reason = $5, finished_at = $6
             FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS k (delivery_id, notice_id, stage)
            WHERE l.delivery_id = k.delivery_id AND l.notice_id = k.notice_id AND l.stage = k.stage""",
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        state,
        reason,
        now,
    )


def _line(row: Record) -> Line:
    return Line(
        delivery_id=row["delivery_id"],
        purpose=Kind(row["purpose"]),
        stage=row["line_stage"],
        notice=notice_of(row),
    )
