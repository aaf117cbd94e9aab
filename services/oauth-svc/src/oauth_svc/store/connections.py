"""Connections and their accounts: read, lock, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import TokenStatus
from common.postgres import Db
from oauth_svc.core.connection import Connection
from oauth_svc.store.rows import COLUMNS, accounts_of, connection_of


async def lock(db: Db, connection_ids: Sequence[UUID]) -> dict[UUID, Connection]:
    """Lock these connections, in id order so that batches do not deadlock, and read them with their accounts."""
    rows = await db.fetch(
        f"""SELECT {COLUMNS} FROM connection c WHERE c.connection_id = ANY($1)
            ORDER BY c.connection_id FOR UPDATE""",
        list(connection_ids),
    )
    accounts = await accounts_of(db, [row["connection_id"] for row in rows])
    return {row["connection_id"]: connection_of(row, accounts.get(row["connection_id"], ())) for row in rows}


async def ids_after(db: Db, after: UUID | None, limit: int) -> list[UUID]:
    """Return the next connections that were not purged, in the order of their ids."""
    rows = await db.fetch(
        """SELECT connection_id FROM connection WHERE purged_at IS NULL AND version > 0
             AND ($1::uuid IS NULL OR connection_id > $1) ORDER BY connection_id LIMIT $2""",
        after,
        limit,
    )
    return [row["connection_id"] for row in rows]


async def save(db: Db, connections: Sequence[Connection]) -> None:
    """Write the changeable columns of connections that this transaction has locked.

    Scopes hold no spaces (RFC 6749 section 3.3), and an array of arrays would have to be a rectangle.
    """
    if not connections:
        return
    await db.execute(
        """UPDATE connection c SET
             version = n.version, status = n.status, since = n.since, cause = n.cause,
             detected_by = n.detected_by, expires_at = n.expires_at, access_expires_at = n.access_expires_at,
             last_refreshed_at = n.last_refreshed_at, last_good_at = n.last_good_at,
             last_failure = n.last_failure, subject_name = n.subject_name, owner_user_id = n.owner_user_id,
             authorized_at = n.authorized_at,
             scopes_missing = string_to_array(n.scopes_missing, ' ')
           FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
                       $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[],
                       $12::text[], $13::uuid[], $14::timestamptz[], $15::text[])
             AS n(connection_id, version, status, since, cause, detected_by, expires_at, access_expires_at,
                  last_refreshed_at, last_good_at, last_failure, subject_name, owner_user_id, authorized_at,
                  scopes_missing)
           WHERE c.connection_id = n.connection_id""",
        [c.connection_id for c in connections],
        [c.version for c in connections],
        [c.status.value for c in connections],
        [c.since for c in connections],
        [c.cause and c.cause.value for c in connections],
        [c.detected_by and c.detected_by.value for c in connections],
        [c.expires_at for c in connections],
        [c.access_expires_at for c in connections],
        [c.last_refreshed_at for c in connections],
        [c.last_good_at for c in connections],
        [c.last_failure for c in connections],
        [c.subject_name for c in connections],
        [c.owner_user_id for c in connections],
        [c.authorized_at for c in connections],
        [" ".join(c.scopes_missing) for c in connections],
    )


async def insert(db: Db, connections: Sequence[Connection], now: datetime) -> set[UUID]:
    """Make rows at version 0, until their first change; the ids of those that are new.

    A platform user who is connected already in the workspace stays as they are.
    """
    rows = await db.fetch(
        """INSERT INTO connection (connection_id, workspace_id, provider, kind, subject, subject_name, owner_user_id,
             version, status, since, authorized_at, last_good_at, created_at)
           SELECT n.connection_id, n.workspace_id, n.provider, n.kind, n.subject, n.subject_name, n.owner_user_id,
             0, 'active', $8, $8, $8, $8
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[])
             AS n(connection_id, workspace_id, provider, kind, subject, subject_name, owner_user_id)
           ON CONFLICT (workspace_id, provider, subject) DO NOTHING RETURNING connection_id""",
        [c.connection_id for c in connections],
        [c.workspace_id for c in connections],
        [c.provider for c in connections],
        [c.kind.value for c in connections],
        [c.subject for c in connections],
        [c.subject_name for c in connections],
        [c.owner_user_id for c in connections],
        now,
    )
    return {row["connection_id"] for row in rows}


async def mark_authorized(db: Db, grants: Sequence[tuple[UUID, Sequence[str], Sequence[str] | None]]) -> None:
    """Write what goes with new authorisations: (connection, scopes asked for, scopes given or None for silence).

    What the platform was to be told about the grant before, and its purge, are over.
    """
    await db.execute(
        """UPDATE connection c SET scopes_requested = coalesce(string_to_array(n.asked, ' '), '{}'),
             scopes_granted = string_to_array(n.given, ' '), remote_revoke = NULL, purged_at = NULL
           FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n(connection_id, asked, given)
           WHERE c.connection_id = n.connection_id""",
        [connection_id for connection_id, _, _ in grants],
        [" ".join(asked) for _, asked, _ in grants],
        [None if given is None else " ".join(given) for _, _, given in grants],
    )


async def find_id(db: Db, workspace_id: UUID, provider: str, subject: str) -> UUID | None:
    """Return the id of a platform user's connection in a workspace; None if there is none.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        provider: the provider's id, such as `google-ads`.
        subject: the platform's id of the person who gave consent.

    """
    found: UUID | None = await db.fetchval(
        "SELECT connection_id FROM connection WHERE workspace_id = $1 AND provider = $2 AND subject = $3",
        workspace_id,
        provider,
        subject,
    )
    return found


async def ids_of_subject(db: Db, providers: Sequence[str], subject: str) -> list[UUID]:
    """Return every living connection of one platform user, in all workspaces: what a webhook covers."""
    rows = await db.fetch(
        """SELECT connection_id FROM connection WHERE provider = ANY($1) AND subject = $2
             AND status IN ('active', 'expiring', 'degraded') ORDER BY connection_id""",
        list(providers),
        subject,
    )
    return [row["connection_id"] for row in rows]


async def get(db: Db, workspace_id: UUID, connection_id: UUID) -> Connection | None:
    row = await db.fetchrow(
        f"SELECT {COLUMNS} FROM connection c WHERE c.connection_id = $1 AND c.workspace_id = $2",
        connection_id,
        workspace_id,
    )
    if row is None:
        return None
    accounts = await accounts_of(db, [connection_id])
    return connection_of(row, accounts.get(connection_id, ()))


async def read(db: Db, connection_id: UUID) -> Connection | None:
    """Return one connection for work that has no caller."""
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM connection c WHERE c.connection_id = $1", connection_id)
    if row is None:
        return None
    accounts = await accounts_of(db, [connection_id])
    return connection_of(row, accounts.get(connection_id, ()))


async def listing(
    db: Db, workspace_id: UUID, *, kind: str | None, provider: str | None, after: UUID | None, limit: int
) -> list[Connection]:
    """Return a page of the workspace's connections, in the order of their ids.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        kind: the kind of token; None for all.
        provider: the provider; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        f"""SELECT {COLUMNS} FROM connection c WHERE c.workspace_id = $1
              AND ($2::text IS NULL OR c.kind = $2) AND ($3::text IS NULL OR c.provider = $3)
              AND ($4::uuid IS NULL OR c.connection_id > $4)
            ORDER BY c.connection_id LIMIT $5""",
        workspace_id,
        kind,
        provider,
        after,
        limit,
    )
    accounts = await accounts_of(db, [row["connection_id"] for row in rows])
    return [connection_of(row, accounts.get(row["connection_id"], ())) for row in rows]


async def next_by_time(db: Db, window_end: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the first end that is to come, and the first one that lies beyond the warning window."""
    row = await db.fetchrow(
        """SELECT
             (SELECT min(expires_at) FROM connection
                WHERE status IN ('active', 'expiring', 'degraded') AND expires_at IS NOT NULL) AS first,
             (SELECT min(expires_at) FROM connection
                WHERE status IN ('active', 'expiring', 'degraded') AND expires_at > $1) AS beyond""",
        window_end,
    )
    return (row["first"], row["beyond"]) if row is not None else (None, None)


async def due_by_time(db: Db, now: datetime, window_end: datetime, limit: int) -> list[UUID]:
    """Connections whose end was reached, or whose warning window was. Costs what is due.

    Args:
        db: the connection or the transaction to use.
        now: the present time, in UTC.
        window_end: the end of the warning window, in UTC.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        """(SELECT connection_id FROM connection WHERE status IN ('active', 'expiring', 'degraded')
              AND expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $3)
           UNION
           (SELECT connection_id FROM connection WHERE status IN ('active', 'degraded')
              AND expires_at IS NOT NULL AND expires_at > $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3)""",
        now,
        window_end,
        limit,
    )
    return [row["connection_id"] for row in rows]


async def ended_since(db: Db, provider: str, since: datetime) -> list[UUID]:
    """Grants whose end we read from the platform's refusals, without a narrower cause, since then."""
    rows = await db.fetch(
        """SELECT connection_id FROM connection WHERE provider = $1 AND status = 'revoked'
             AND coalesce(cause, 'platform_enforced') IN ('user_revoked', 'platform_enforced')
             AND detected_by IN ('refresh', 'probe', 'report')
             AND since >= $2""",
        provider,
        since,
    )
    return [row["connection_id"] for row in rows]


_PURGEABLE = """status IN ('expired', 'revoked') AND purged_at IS NULL AND since < $1
 AND remote_revoke IS DISTINCT FROM 'due'"""


@dataclass(frozen=True, slots=True)
class DeadGrants:
    """Grants that a purge would forget, by provider and how they ended."""

    provider: str
    status: str
    grants: int
    oldest: datetime


async def count_dead(db: Db, before: datetime) -> list[DeadGrants]:
    rows = await db.fetch(
        f"""SELECT provider, status, count(*) AS grants, min(since) AS oldest FROM connection WHERE {_PURGEABLE}
            GROUP BY provider, status ORDER BY provider, status""",
        before,
    )
    return [DeadGrants(row["provider"], row["status"], row["grants"], row["oldest"]) for row in rows]


async def dead_before(db: Db, before: datetime, limit: int) -> list[UUID]:
    """Return the longest dead first. One whose end the platform is yet to be told keeps its credential until then."""
    rows = await db.fetch(
        f"SELECT connection_id FROM connection WHERE {_PURGEABLE} ORDER BY since LIMIT $2", before, limit
    )
    return [row["connection_id"] for row in rows]


async def mark_purged(db: Db, connection_ids: Sequence[UUID], now: datetime) -> None:
    await db.execute("UPDATE connection SET purged_at = $2 WHERE connection_id = ANY($1)", list(connection_ids), now)


async def set_remote_revoke(db: Db, connection_id: UUID, state: str | None) -> None:
    await db.execute("UPDATE connection SET remote_revoke = $2 WHERE connection_id = $1", connection_id, state)


async def awaits_remote_revoke(db: Db, connection_id: UUID) -> bool:
    return bool(
        await db.fetchval(
            "SELECT remote_revoke = 'due' FROM connection WHERE connection_id = $1 AND remote_revoke IS NOT NULL",
            connection_id,
        )
    )


async def has_sibling(db: Db, providers: Sequence[str], subject: str, other_than: UUID) -> bool:
    """Return whether another living connection would be ended by revoking this platform user's grant.

    Args:
        db: the connection or the transaction to use.
        providers: the providers that share one grant.
        subject: the platform's id of the person who gave consent.
        other_than: the connection that is revoked.

    """
    found = await db.fetchval(
        """SELECT EXISTS (SELECT 1 FROM connection WHERE provider = ANY($1) AND subject = $2
             AND connection_id <> $3 AND status IN ('active', 'expiring', 'degraded'))""",
        list(providers),
        subject,
        other_than,
    )
    return bool(found)


async def due_remote_revokes(db: Db, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await db.fetch(
        "SELECT connection_id, workspace_id FROM connection WHERE remote_revoke = 'due' LIMIT $1", limit
    )
    return [(row["connection_id"], row["workspace_id"]) for row in rows]


async def count_by_status(db: Db) -> list[tuple[str, str, int]]:
    rows = await db.fetch("SELECT provider, status, count(*) AS n FROM connection GROUP BY provider, status")
    return [(row["provider"], TokenStatus(row["status"]).value, row["n"]) for row in rows]


async def count_in_trouble(db: Db, now: datetime) -> list[tuple[str, str, str, int]]:
    """Living connections whose last refresh or probe failed: provider, class of the failure, how long already."""
    rows = await db.fetch(
        """SELECT provider, split_part(last_failure, ':', 1) AS class,
             CASE WHEN since > $1::timestamptz - interval '1 hour' THEN 'under_1h'
                  WHEN since > $1::timestamptz - interval '1 day' THEN 'under_1d' ELSE 'over_1d' END AS age,
             count(*) AS n
           FROM connection WHERE last_failure IS NOT NULL AND status IN ('active', 'expiring', 'degraded')
           GROUP BY 1, 2, 3""",
        now,
    )
    return [(row["provider"], row["class"], row["age"], row["n"]) for row in rows]
