"""Data gaps: from the last good moment of an account to the first good one after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Record


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap; open while `to_at` is None."""

    gap_id: UUID
    account_id: UUID
    account_name: str
    connection_id: UUID
    provider: str
    from_at: datetime
    to_at: datetime | None
    cause: str | None


async def note_served(db: Db, served: Mapping[UUID, datetime]) -> None:
    """Hand-outs of tokens. The one before stays known, in case the last turns out to have been refused."""
    await db.execute(
        """UPDATE account a SET served_at = n.at,
             used_before = CASE WHEN a.served_at > coalesce(a.refused_at, '-infinity') THEN a.served_at
                                ELSE a.used_before END
           FROM unnest($1::uuid[], $2::timestamptz[]) AS n(account_id, at)
           WHERE a.account_id = n.account_id
             AND n.at > greatest(coalesce(a.served_at, '-infinity'), coalesce(a.refused_at, '-infinity'))""",
        list(served),
        list(served.values()),
    )


async def note_refused(db: Db, account_id: UUID, now: datetime) -> None:
    """A service says that the platform refused what it was handed."""
    await db.execute("UPDATE account SET refused_at = $2 WHERE account_id = $1", account_id, now)


async def open_gaps(db: Db, gaps: Sequence[tuple[UUID, UUID, UUID, UUID, datetime, str | None]]) -> None:
    """(gap, account, connection, workspace, from, cause). An account with an open gap keeps its earlier start."""
    if not gaps:
        return
    await db.executemany(
        """INSERT INTO data_gap (gap_id, account_id, connection_id, workspace_id, from_at, cause)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id) WHERE to_at IS NULL DO NOTHING""",
        list(gaps),
    )


async def close_gaps(db: Db, account_ids: Sequence[UUID], now: datetime) -> list[Gap]:
    """Close the open gaps of these accounts, and say which there were."""
    rows = await db.fetch(
        """UPDATE data_gap g SET to_at = $2 FROM account a, connection c
           WHERE g.account_id = ANY($1) AND g.to_at IS NULL AND a.account_id = g.account_id
             AND c.connection_id = g.connection_id
           RETURNING g.gap_id, g.account_id, a.name, g.connection_id, c.provider, g.from_at, g.to_at, g.cause""",
        list(account_ids),
        now,
    )
    return [_gap_of(row) for row in rows]


async def listing(db: Db, workspace_id: UUID, *, account_id: UUID | None, after: UUID | None, limit: int) -> list[Gap]:
    """Newest first.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        account_id: the account; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        """SELECT g.gap_id, g.account_id, a.name, g.connection_id, c.provider, g.from_at, g.to_at, g.cause
           FROM data_gap g JOIN account a USING (account_id) JOIN connection c ON c.connection_id = g.connection_id
           WHERE g.workspace_id = $1 AND ($2::uuid IS NULL OR g.account_id = $2)
             AND ($3::uuid IS NULL OR g.gap_id < $3)
           ORDER BY g.gap_id DESC LIMIT $4""",
        workspace_id,
        account_id,
        after,
        limit,
    )
    return [_gap_of(row) for row in rows]


async def totals(db: Db, workspace_id: UUID, now: datetime) -> tuple[int, int, float]:
    """Return how many gaps, how many of them open, and all their seconds together."""
    row = await db.fetchrow(
        """SELECT count(*) AS n, count(*) FILTER (WHERE to_at IS NULL) AS open,
             coalesce(sum(extract(epoch FROM coalesce(to_at, $2) - from_at)), 0)::float8 AS seconds
           FROM data_gap WHERE workspace_id = $1""",
        workspace_id,
        now,
    )
    return (row["n"], row["open"], row["seconds"]) if row is not None else (0, 0, 0.0)


def _gap_of(row: Record) -> Gap:
    return Gap(
        row["gap_id"],
        row["account_id"],
        row["name"],
        row["connection_id"],
        row["provider"],
        row["from_at"],
        row["to_at"],
        row["cause"],
    )
