"""The ladder's schedule: deadlines, the claim of what is due, and the marks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import AccountRef, TokenKind, TokenRef, TokenStatus
from common.postgres import Db, Pool, translate_errors
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.core.plan import Due


@dataclass(frozen=True, slots=True)
class Deadline:
    """One expiry date that the ladder leads to, and when its next step is due."""

    token_id: UUID
    expires_at: datetime
    due_at: datetime


async def put(db: Db, deadlines: Sequence[Deadline], finished: Sequence[UUID]) -> None:
    """Set the deadlines of tokens whose row changed in this transaction, and drop those that lead nowhere.

    A deadline for the same expiry date is left alone: its steps are under way.
    """
    if finished:
        await db.execute("DELETE FROM deadline WHERE token_id = ANY($1::uuid[])", finished)
    if deadlines:
        await db.execute(
            """INSERT INTO deadline (token_id, expires_at, due_at)
               SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
               ON CONFLICT (token_id) DO UPDATE SET expires_at = excluded.expires_at, due_at = excluded.due_at
                WHERE deadline.expires_at <> excluded.expires_at""",
            [deadline.token_id for deadline in deadlines],
            [deadline.expires_at for deadline in deadlines],
            [deadline.due_at for deadline in deadlines],
        )


async def claim(db: Db, now: datetime, limit: int) -> list[UUID]:
    """Lock what is due, the longest due first; what another replica has locked is its work.

    The lock is the claim, and the caller's transaction is all of the work (no call leaves the database), so there
    is no lease to expire: a crash rolls back, and the deadline is due again at once.
    """
    rows = await db.fetch(
        "SELECT token_id FROM deadline WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED", now, limit
    )
    return [row["token_id"] for row in rows]


async def read_claimed(db: Db, claimed: Sequence[UUID]) -> list[Due]:
    """Return the claimed deadlines with their tokens, marks and ladders.

    A statement of its own, because only a snapshot taken after the locks sees every renewal that was committed
    before them: "already renewed?" is asked at the last moment.
    """
    rows = await db.fetch(
        """SELECT d.token_id, d.expires_at, d.due_at, t.kind, t.provider, t.workspace_id, t.owner_user_id, t.version,
                  t.status, t.since, t.expires_at AS token_expires_at, t.accounts, t.accounts_total, m.lead, l.stages
             FROM deadline d
             JOIN token t USING (token_id)
             LEFT JOIN warning_mark m ON m.token_id = d.token_id AND m.expires_at = d.expires_at
             LEFT JOIN workspace_ladder l ON l.workspace_id = t.workspace_id
            WHERE d.token_id = ANY($1::uuid[])
            ORDER BY d.due_at, d.token_id""",
        claimed,
    )
    return [
        Due(
            token=TokenRef(
                token_id=row["token_id"],
                kind=TokenKind(row["kind"]),
                provider=row["provider"],
                workspace_id=row["workspace_id"],
                owner_user_id=row["owner_user_id"],
                version=row["version"],
                accounts=tuple(AccountRef.model_validate(account) for account in row["accounts"]),
                accounts_total=row["accounts_total"],
            ),
            status=TokenStatus(row["status"]),
            since=row["since"],
            token_expires_at=row["token_expires_at"],
            expires_at=row["expires_at"],
            due_at=row["due_at"],
            mark=row["lead"],
            stages=None if row["stages"] is None else tuple(row["stages"]),
        )
        for row in rows
    ]


async def mark(db: Db, marks: Mapping[tuple[UUID, datetime], timedelta], now: datetime) -> None:
    """Record the most urgent stage reached per token and expiry date; a mark only ever becomes more urgent."""
    if not marks:
        return
    await db.execute(
        """INSERT INTO warning_mark (token_id, expires_at, lead, marked_at)
           SELECT m.token_id, m.expires_at, m.lead, $4
             FROM unnest($1::uuid[], $2::timestamptz[], $3::interval[]) AS m(token_id, expires_at, lead)
               ON CONFLICT (token_id, expires_at) DO UPDATE SET lead = excluded.lead, marked_at = excluded.marked_at
            WHERE excluded.lead < warning_mark.lead""",
        [token_id for token_id, _ in marks],
        [expires_at for _, expires_at in marks],
        list(marks.values()),
        now,
    )


async def advance(db: Db, due_at: Mapping[UUID, datetime], finished: Sequence[UUID]) -> None:
    """Move claimed deadlines to their next step, and drop those that have none."""
    if due_at:
        await db.execute(
            """UPDATE deadline SET due_at = n.due_at
                 FROM unnest($1::uuid[], $2::timestamptz[]) AS n(token_id, due_at)
                WHERE deadline.token_id = n.token_id""",
            list(due_at),
            list(due_at.values()),
        )
    if finished:
        await db.execute("DELETE FROM deadline WHERE token_id = ANY($1::uuid[])", finished)


async def next_due(pool: Pool) -> datetime | None:
    """Return the look-ahead row: when the next step of any token is due."""
    with translate_errors():
        moment: datetime | None = await pool.fetchval("SELECT min(due_at) FROM deadline")
    return moment


async def backlog(pool: Pool, now: datetime, limit: int) -> list[timedelta]:
    """Return how late each overdue step is, at most `limit` of them, the latest first. Costs what is due."""
    with translate_errors():
        rows = await pool.fetch("SELECT due_at FROM deadline WHERE due_at <= $1 ORDER BY due_at LIMIT $2", now, limit)
    return [now - row["due_at"] for row in rows]


async def ladders(db: Db, workspace_ids: Sequence[UUID]) -> dict[UUID, Ladder]:
    """Return the ladders that these workspaces chose for themselves."""
    rows = await db.fetch(
        "SELECT workspace_id, stages FROM workspace_ladder WHERE workspace_id = ANY($1::uuid[])", workspace_ids
    )
    return {row["workspace_id"]: Ladder.parse(row["stages"]) for row in rows}


async def put_ladder(db: Db, workspace_id: UUID, ladder: Ladder | None, set_by: UUID, now: datetime) -> int:
    """Give a workspace its own stages (None: back to the default); returns how many deadlines are planned anew.

    Every deadline of the workspace becomes due: the sweep looks at each, says what is due and not yet said, and
    plans its next step by the new ladder.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        ladder: the stages; None for the default.
        set_by: the person who chose it.
        now: the present time, in UTC.

    """
    if ladder is None:
        await db.execute("DELETE FROM workspace_ladder WHERE workspace_id = $1", workspace_id)
    else:
        await db.execute(
            """INSERT INTO workspace_ladder (workspace_id, stages, set_at, set_by) VALUES ($1, $2, $3, $4)
               ON CONFLICT (workspace_id) DO UPDATE SET stages = excluded.stages, set_at = excluded.set_at,
                                                        set_by = excluded.set_by""",
            workspace_id,
            list(ladder.names),
            now,
            set_by,
        )
    status = await db.execute(
        """UPDATE deadline SET due_at = $2 FROM token
            WHERE token.token_id = deadline.token_id AND token.workspace_id = $1""",
        workspace_id,
        now,
    )
    return int(status.split()[-1])
