"""The people of each workspace as session-svc last told us, their wishes, and addresses that are dead."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts import NoticeChannel
from common.postgres import Db, Record
from notifier.core.routing import Person

WORKSPACE_ITSELF = UUID(int=0)
"""Stands for "the workspace" where a preference belongs to nobody in person."""

_PERSON = "workspace_id, user_id, name, email, role, time_zone, active"


async def want(db: Db, workspace_ids: Collection[UUID], now: datetime) -> bool:
    """Ask for the people of workspaces that are new to us; True when there were any."""
    status = await db.execute(
        """INSERT INTO workspace (workspace_id, asked_for_at, next_try_at)
           SELECT DISTINCT id, $2::timestamptz, $2::timestamptz FROM unnest($1::uuid[]) AS id
           ON CONFLICT DO NOTHING""",
        list(workspace_ids),
        now,
    )
    return status != "INSERT 0 0"


async def hurry(db: Db, workspace_ids: Collection[UUID], now: datetime) -> None:
    """Fetch these at once: somebody's notice waits for them."""
    await db.execute(
        "UPDATE workspace SET next_try_at = $2 WHERE workspace_id = ANY($1::uuid[]) AND fetched_at IS NULL",
        list(workspace_ids),
        now,
    )


async def claim_due(db: Db, now: datetime, *, lease: timedelta, limit: int) -> list[tuple[UUID, int]]:
    """Workspaces whose people should be fetched now, with their failures in a row.

    Args:
        db: the connection or the transaction to use.
        now: the present time, in UTC.
        lease: how long nobody else takes them.
        limit: how many are taken at most.

    """
    rows = await db.fetch(
        """WITH due AS MATERIALIZED (
             SELECT workspace_id FROM workspace WHERE next_try_at <= $1
              ORDER BY (fetched_at IS NULL) DESC, next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           UPDATE workspace w SET next_try_at = $1 + $2::interval FROM due WHERE w.workspace_id = due.workspace_id
           RETURNING w.workspace_id, w.failures""",
        now,
        lease,
        limit,
    )
    return [(row["workspace_id"], row["failures"]) for row in rows]


async def replace(db: Db, workspace_id: UUID, people: Sequence[Person], *, now: datetime, next_at: datetime) -> None:
    """Take over a fresh list.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        people: the people of the workspace.
        now: the present time, in UTC.
        next_at: when the list is fetched again, in UTC.

    """
    await db.execute(
        "DELETE FROM person WHERE workspace_id = $1 AND user_id <> ALL($2::uuid[])",
        workspace_id,
        [person.user_id for person in people],
    )
    await upsert(db, people)
    await db.execute(
        """INSERT INTO workspace (workspace_id, asked_for_at, fetched_at, next_try_at) VALUES ($1, $2, $2, $3)
           ON CONFLICT (workspace_id) DO UPDATE SET fetched_at = $2, failures = 0, next_try_at = $3""",
        workspace_id,
        now,
        next_at,
    )


async def upsert(db: Db, found: Sequence[Person]) -> None:
    """Add or correct single people, without judging who is missing."""
    await db.execute(
        """INSERT INTO person (workspace_id, user_id, name, email, role, time_zone, active)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
           ON CONFLICT (workspace_id, user_id) DO UPDATE
              SET name = excluded.name, email = excluded.email, role = excluded.role,
                  time_zone = excluded.time_zone, active = excluded.active""",
        [person.workspace_id for person in found],
        [person.user_id for person in found],
        [person.name for person in found],
        [person.email for person in found],
        [person.role for person in found],
        [person.time_zone for person in found],
        [person.active for person in found],
    )


async def failed(db: Db, workspace_id: UUID, next_at: datetime) -> None:
    """Keep what we have, and try again later."""
    await db.execute(
        "UPDATE workspace SET failures = failures + 1, next_try_at = $2 WHERE workspace_id = $1", workspace_id, next_at
    )


async def known(db: Db, workspace_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of the workspaces whose people we have."""
    rows = await db.fetch(
        "SELECT workspace_id FROM workspace WHERE workspace_id = ANY($1::uuid[]) AND fetched_at IS NOT NULL",
        list(workspace_ids),
    )
    return frozenset(row["workspace_id"] for row in rows)


async def fetched_at(db: Db, workspace_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when the people of each workspace were fetched last; without those that never were."""
    rows = await db.fetch(
        """SELECT workspace_id, fetched_at FROM workspace
            WHERE workspace_id = ANY($1::uuid[]) AND fetched_at IS NOT NULL""",
        list(workspace_ids),
    )
    return {row["workspace_id"]: row["fetched_at"] for row in rows}


async def of_workspaces(db: Db, workspace_ids: Collection[UUID]) -> list[Person]:
    rows = await db.fetch(
        f"SELECT {_PERSON} FROM person WHERE workspace_id = ANY($1::uuid[]) ORDER BY workspace_id, user_id",
        list(workspace_ids),
    )
    return [_person(row) for row in rows]


async def of_pairs(db: Db, pairs: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Person]:
    """People by (workspace, user)."""
    rows = await db.fetch(
        f"""SELECT {_PERSON} FROM person
             WHERE (workspace_id, user_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))""",
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
    )
    return {(row["workspace_id"], row["user_id"]): _person(row) for row in rows}


async def anywhere(db: Db, user_id: UUID) -> Person | None:
    """Return the person in whichever workspace we know them from."""
    row = await db.fetchrow(
        f"SELECT {_PERSON} FROM person WHERE user_id = $1 ORDER BY active DESC, workspace_id LIMIT 1", user_id
    )
    return None if row is None else _person(row)


async def wishes(db: Db, pairs: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], dict[str, Any]]:
    """Stored preferences by (workspace, user); the workspace's own under `WORKSPACE_ITSELF`."""
    rows = await db.fetch(
        """SELECT workspace_id, user_id, wishes FROM preference
            WHERE (workspace_id, user_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))""",
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
    )
    return {(row["workspace_id"], row["user_id"]): row["wishes"] for row in rows}


async def save_wishes(db: Db, workspace_id: UUID, user_id: UUID, document: dict[str, Any], now: datetime) -> None:
    """Store the wishes of a person, or (None) of the workspace.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        user_id: the person; None for the workspace.
        document: the wishes, as JSON.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO preference (workspace_id, user_id, wishes, updated_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (workspace_id, user_id) DO UPDATE SET wishes = $3, updated_at = $4""",
        workspace_id,
        user_id,
        document,
        now,
    )


async def turn_off(
    db: Db,
    workspace_id: UUID,
    user_id: UUID,
    *,
    channel: NoticeChannel,
    codes: Sequence[str],
    now: datetime,
) -> bool:
    """Add to a person's own wishes that a channel brings nothing of these codes; False when they said so already.

    Their other wishes stay.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        user_id: the person.
        channel: the channel.
        codes: the kinds of notices.
        now: the present time, in UTC.

    """
    status = await db.execute(
        """INSERT INTO preference AS held (workspace_id, user_id, wishes, updated_at)
           VALUES ($1, $2, jsonb_build_object('channels', jsonb_build_object($3::text, $4::jsonb)), $5)
           ON CONFLICT (workspace_id, user_id) DO UPDATE
              SET wishes = held.wishes || jsonb_build_object('channels',
                    coalesce(held.wishes -> 'channels', '{}') || jsonb_build_object($3::text,
                      coalesce(held.wishes -> 'channels' -> $3::text, '{}') || $4::jsonb)),
                  updated_at = $5
            WHERE NOT coalesce(held.wishes -> 'channels' -> $3::text @> $4::jsonb, false)""",
        workspace_id,
        user_id,
        channel.value,
        dict.fromkeys(codes, False),
        now,
    )
    return status == "INSERT 0 1"


def _person(row: Record) -> Person:
    return Person(
        user_id=row["user_id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        email=row["email"],
        role=row["role"],
        time_zone=row["time_zone"],
        active=row["active"],
    )
