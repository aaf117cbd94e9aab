"""Messages on their way: gathered while open, claimed by lease, finished behind a fence."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import NoticeChannel
from common.postgres import Db, Record
from common.runtime.ids import new_id
from notifier.core.deliveries import Claimed, Finished, Kind, Reached, WantedDelivery
from notifier.core.plans import Past, Withdrawal

_CLAIMED = """d.delivery_id, d.epoch, d.user_id, d.workspace_id, d.channel, d.kind, d.edits, d.attempts,
d.first_tried_at, d.due_at, d.template, d.sealed"""


async def gather(db: Db, wanted: Sequence[WantedDelivery], now: datetime) -> None:
    """Put each wanted line into the person's open message of its channel, or open one.

    A line that is there already (same notice, channel, purpose and stage) stays as it is: that is how a repeated
    event sends nothing twice. A message that is being claimed at this moment no longer takes lines. What does not
    gather is a message of its own from the beginning: it is in the state that no longer takes lines.
    """
    await db.execute(
        """WITH wanted AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                                  $7::timestamptz[], $8::text[], $9::uuid[], $11::boolean[])
               AS w (delivery_id, notice_id, user_id, workspace_id, channel, kind, due_at, stage, edits, gathers)
              WHERE NOT EXISTS (SELECT 1 FROM delivery_line l WHERE l.notice_id = w.notice_id
                                   AND l.channel = w.channel AND l.purpose = w.kind AND l.stage = w.stage)),
           opened AS (
             INSERT INTO delivery (delivery_id, user_id, workspace_id, channel, kind, edits, due_at, created_at)
             SELECT DISTINCT ON (user_id, workspace_id, channel, kind, edits)
                    delivery_id, user_id, workspace_id, channel, kind, edits, due_at, $10::timestamptz
               FROM wanted WHERE gathers ORDER BY user_id, workspace_id, channel, kind, edits, due_at
             ON CONFLICT (user_id, workspace_id, channel, kind, edits) WHERE state = 'open' AND kind <> 'direct'
             DO UPDATE SET due_at = least(delivery.due_at, excluded.due_at)
             RETURNING delivery_id, user_id, workspace_id, channel, kind, edits),
           single AS (
             INSERT INTO delivery (delivery_id, user_id, workspace_id, channel, kind, edits, due_at, created_at, state)
             SELECT delivery_id, user_id, workspace_id, channel, kind, edits, due_at, $10::timestamptz, 'retry'
               FROM wanted WHERE NOT gathers)
           INSERT INTO delivery_line (delivery_id, notice_id, channel, purpose, stage)
           SELECT o.delivery_id, w.notice_id, w.channel, w.kind, w.stage
             FROM wanted w JOIN opened o USING (user_id, workspace_id, channel, kind, edits) WHERE w.gathers
           UNION ALL
           SELECT delivery_id, notice_id, channel, kind, stage FROM wanted WHERE NOT gathers
           ON CONFLICT DO NOTHING""",
        [new_id() for _ in wanted],
        [item.notice_id for item in wanted],
        [item.user_id for item in wanted],
        [item.workspace_id for item in wanted],
        [item.channel.value for item in wanted],
        [item.kind.value for item in wanted],
        [item.due_at for item in wanted],
        [item.stage for item in wanted],
        [item.edits for item in wanted],
        now,
        [item.gathers for item in wanted],
    )


async def add_direct(
    db: Db,
    delivery_id: UUID,
    *,
    user_id: UUID,
    workspace_id: UUID,
    template: str,
    sealed: bytes,
    now: datetime,
) -> None:
    """Store a message to one person that is no notice, sealed.

    Args:
        db: the connection or the transaction to use.
        delivery_id: the delivery.
        user_id: the person.
        workspace_id: the workspace.
        template: the name of its text.
        sealed: what the text is filled with, encrypted.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO delivery (delivery_id, user_id, workspace_id, channel, kind, due_at, template, sealed,
                                 created_at)
           VALUES ($1, $2, $3, 'email', 'direct', $6, $4, $5, $6) ON CONFLICT DO NOTHING""",
        delivery_id,
        user_id,
        workspace_id,
        template,
        sealed,
        now,
    )


async def claim(db: Db, channel: NoticeChannel, now: datetime, *, lease: timedelta, limit: int) -> list[Claimed]:
    """Take what is due, and what a process that died had taken (but not yet presented).

    Args:
        db: the connection or the transaction to use.
        channel: the channel.
        now: the present time, in UTC.
        lease: how long nobody else takes them.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        f"""WITH due AS MATERIALIZED (
              SELECT delivery_id FROM delivery
               WHERE channel = $1 AND state IN ('open', 'retry') AND due_at <= $2
               ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED),
            lost AS MATERIALIZED (
              SELECT delivery_id FROM delivery
               WHERE channel = $1 AND state = 'sending' AND lease_until < now()
               ORDER BY lease_until LIMIT $4 FOR UPDATE SKIP LOCKED),
            picked AS (SELECT delivery_id FROM due UNION ALL SELECT delivery_id FROM lost)
            UPDATE delivery d
               SET state = 'sending', epoch = d.epoch + 1, lease_until = now() + $3::interval,
                   first_tried_at = coalesce(d.first_tried_at, $2)
              FROM picked WHERE d.delivery_id = picked.delivery_id
            RETURNING {_CLAIMED}""",
        channel.value,
        now,
        lease,
        limit,
    )
    return sorted((_claimed(row) for row in rows), key=lambda claimed: claimed.due_at)


async def give_up_presented(db: Db, channel: NoticeChannel, now: datetime) -> int:
    """Messages that a process presented and then died over: whether they arrived is unknown, and stays so."""
    rows = await db.fetch(
        """WITH lost AS MATERIALIZED (
             SELECT delivery_id FROM delivery
              WHERE channel = $1 AND state = 'calling' AND lease_until < now() FOR UPDATE SKIP LOCKED)
           UPDATE delivery d SET state = 'unknown', reason = 'unknown_outcome', finished_at = $2, epoch = d.epoch + 1
             FROM lost WHERE d.delivery_id = lost.delivery_id RETURNING d.delivery_id""",
        channel.value,
        now,
    )
    await db.execute(
        "UPDATE delivery_line SET state = 'failed', reason = 'unknown_outcome', finished_at = $2 "
        "WHERE delivery_id = ANY($1::uuid[]) AND state = 'waiting'",
        [row["delivery_id"] for row in rows],
        now,
    )
    return len(rows)


async def mark_calling(db: Db, delivery_id: UUID, epoch: int, lease: timedelta) -> bool:
    """Return the intent to present a message whose repeat could not be recognised. False: the lease is lost.

    Args:
        db: the connection or the transaction to use.
        delivery_id: the delivery.
        epoch: the epoch of the lease: a claim that was taken over has a later one.
        lease: how long nobody else takes them.

    """
    status = await db.execute(
        """UPDATE delivery SET state = 'calling', lease_until = now() + $3::interval
            WHERE delivery_id = $1 AND epoch = $2 AND state = 'sending'""",
        delivery_id,
        epoch,
        lease,
    )
    return status == "UPDATE 1"


async def references(db: Db, delivery_ids: Collection[UUID]) -> dict[UUID, str]:
    rows = await db.fetch(
        "SELECT delivery_id, reference FROM delivery WHERE delivery_id = ANY($1::uuid[])", list(delivery_ids)
    )
    return {row["delivery_id"]: row["reference"] for row in rows}


async def withdraw(db: Db, withdrawn: Sequence[Withdrawal], now: datetime) -> None:
    """Take lines back that wait (those that a hold stopped, too): forget them, or keep them with the reason."""
    alike: defaultdict[tuple[Kind, str, str | None], list[UUID]] = defaultdict(list)
    for item in withdrawn:
        alike[item.kind, item.reason, item.keep_stage].append(item.condition_id)
    for (kind, reason, keep_stage), condition_ids in alike.items():
        if not reason:
            await db.execute(
                """DELETE FROM delivery_line l USING notice n
                    WHERE n.condition_id = ANY($1::uuid[]) AND l.notice_id = n.notice_id AND l.purpose = $2
                      AND (l.state = 'waiting' OR (l.state = 'dropped' AND l.reason = 'held'))""",
                condition_ids,
                kind.value,
            )
            continue
        await db.execute(
            """UPDATE delivery_line l SET state = 'dropped', reason = $3, finished_at = $4
                 FROM notice n WHERE n.condition_id = ANY($1::uuid[]) AND l.notice_id = n.notice_id
                  AND l.state = 'waiting' AND l.purpose = $2 AND ($5::text IS NULL OR l.stage <> $5)""",
            condition_ids,
            kind.value,
            reason,
            now,
            keep_stage,
        )


async def finish(db: Db, ends: Sequence[Finished], now: datetime) -> frozenset[UUID]:
    """Write the ends of attempts whose lease is still held; returns the deliveries written.

    Lines follow: sent with a sent message, failed with a failed one, still waiting when there will be another try.
    """
    rows = await db.fetch(
        """WITH ended AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::integer[], $6::text[],
                                  $7::text[]) AS e (delivery_id, epoch, state, due_at, attempts, reason, reference))
           UPDATE delivery d
              SET state = e.state, due_at = coalesce(e.due_at, d.due_at), attempts = e.attempts, reason = e.reason,
                  reference = CASE WHEN e.reference = '' THEN d.reference ELSE e.reference END, lease_until = NULL,
                  sealed = CASE WHEN e.state = 'retry' THEN d.sealed END,
                  finished_at = CASE WHEN e.state = 'retry' THEN NULL ELSE $8::timestamptz END
             FROM ended e
            WHERE d.delivery_id = e.delivery_id AND d.epoch = e.epoch AND d.state IN ('sending', 'calling')
        RETURNING d.delivery_id""",
        [end.delivery_id for end in ends],
        [end.epoch for end in ends],
        [end.state.value for end in ends],
        [end.due_at for end in ends],
        [end.attempts for end in ends],
        [end.reason for end in ends],
        [end.reference for end in ends],
        now,
    )
    return frozenset(row["delivery_id"] for row in rows)


async def unanswered(db: Db, condition_ids: Collection[UUID]) -> dict[UUID, tuple[Reached, ...]]:
    """Return whom a message about each condition reached, where none follows it up yet; the last one per channel."""
    rows = await db.fetch(
        """SELECT * FROM (
             SELECT DISTINCT ON (n.notice_id, l.channel)
                    n.condition_id, n.notice_id, n.user_id, n.workspace_id, l.channel, l.delivery_id, l.stage
               FROM notice n JOIN delivery_line l ON l.notice_id = n.notice_id
              WHERE n.condition_id = ANY($1::uuid[]) AND l.purpose = 'alert' AND l.state = 'sent'
              ORDER BY n.notice_id, l.channel, l.finished_at DESC) AS last
            WHERE NOT EXISTS (SELECT 1 FROM delivery_line f WHERE f.notice_id = last.notice_id
                                 AND f.channel = last.channel AND f.purpose = 'follow_up' AND f.stage = last.stage)""",
        list(condition_ids),
    )
    found: defaultdict[UUID, list[Reached]] = defaultdict(list)
    for row in rows:
        found[row["condition_id"]].append(
            Reached(
                notice_id=row["notice_id"],
                user_id=row["user_id"],
                workspace_id=row["workspace_id"],
                channel=NoticeChannel(row["channel"]),
                delivery_id=row["delivery_id"],
                stage=row["stage"],
            )
        )
    return {condition_id: tuple(reached) for condition_id, reached in found.items()}


async def past(
    db: Db, user_ids: Collection[UUID], subject_ids: Collection[UUID], since: datetime
) -> dict[tuple[UUID, NoticeChannel], Past]:
    """Return what these people were sent since then, by channel, and when last about which fact of these subjects.

    Args:
        db: the connection or the transaction to use.
        user_ids: the people.
        subject_ids: the tokens and incidents that are spoken of.
        since: how far back is looked, in UTC.

    """
    rows = await db.fetch(
        """SELECT d.user_id, d.channel, count(DISTINCT d.delivery_id) AS sent,
                  array_agg(c.subject_id) FILTER (WHERE c.subject_id = ANY($3::uuid[])) AS subjects,
                  array_agg(c.code) FILTER (WHERE c.subject_id = ANY($3::uuid[])) AS codes,
                  array_agg(d.finished_at) FILTER (WHERE c.subject_id = ANY($3::uuid[])) AS moments
             FROM delivery d
             JOIN delivery_line l ON l.delivery_id = d.delivery_id AND l.purpose = 'alert' AND l.state = 'sent'
             JOIN notice n ON n.notice_id = l.notice_id JOIN condition c ON c.condition_id = n.condition_id
            WHERE d.user_id = ANY($1::uuid[]) AND d.state = 'sent' AND d.finished_at > $2 AND d.kind = 'alert'
            GROUP BY d.user_id, d.channel""",
        list(user_ids),
        since,
        list(subject_ids),
    )
    found = {}
    for row in rows:
        about: dict[tuple[UUID, str], datetime] = {}
        for subject_id, code, moment in zip(
            row["subjects"] or (), row["codes"] or (), row["moments"] or (), strict=True
        ):
            about[subject_id, code] = max(moment, about.get((subject_id, code), moment))
        found[row["user_id"], NoticeChannel(row["channel"])] = Past(row["sent"], about)
    return found


async def next_due(db: Db, channel: NoticeChannel) -> datetime | None:
    found: datetime | None = await db.fetchval(
        "SELECT min(due_at) FROM delivery WHERE channel = $1 AND state IN ('open', 'retry')", channel.value
    )
    return found


async def open_by_channel(db: Db, now: datetime) -> dict[NoticeChannel, tuple[int, datetime]]:
    """How many messages of each channel are due, tried again or on their way, and since when the oldest one is."""
    rows = await db.fetch(
        """SELECT channel, count(*) AS messages, min(since) AS since FROM (
             SELECT channel, coalesce(first_tried_at, due_at) AS since FROM delivery
              WHERE state IN ('open', 'retry') AND (state = 'retry' OR due_at <= $1)
             UNION ALL
             SELECT channel, coalesce(first_tried_at, due_at) FROM delivery WHERE state IN ('sending', 'calling')
           ) AS waiting GROUP BY channel""",
        now,
    )
    return {NoticeChannel(row["channel"]): (row["messages"], row["since"]) for row in rows}


def _claimed(row: Record) -> Claimed:
    return Claimed(
        delivery_id=row["delivery_id"],
        epoch=row["epoch"],
        user_id=row["user_id"],
        workspace_id=row["workspace_id"],
        channel=NoticeChannel(row["channel"]),
        kind=Kind(row["kind"]),
        edits=row["edits"],
        attempts=row["attempts"],
        first_tried_at=row["first_tried_at"],
        due_at=row["due_at"],
        template=row["template"],
        sealed=row["sealed"],
    )
