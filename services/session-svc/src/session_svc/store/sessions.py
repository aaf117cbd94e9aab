"""Sessions and impersonations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool, Record
from session_svc.core.impersonation import Impersonation
from session_svc.core.people import Role
from session_svc.core.session import EndCause, Session, SessionStatus

_NAMES = (
    "session_id",
    "user_id",
    "workspace_id",
    "role",
    "epoch",
    "version",
    "status",
    "created_at",
    "extended_at",
    "expires_at",
    "switched_at",
    "ended_at",
    "end_cause",
    "actor_user_id",
    "device",
    "address",
)
_COLUMNS = ", ".join(_NAMES)

_BY_SECRET = f"SELECT {_COLUMNS} FROM sessions WHERE secret_hash = $1"

_ROLES = {role.value: role for role in Role}
_STATUSES = {status.value: status for status in SessionStatus}
_CAUSES: dict[str | None, EndCause | None] = {cause.value: cause for cause in EndCause} | {None: None}


def _session(row: Record) -> Session:
    # By position and through dictionaries: this is done for every JWT, and an enum's constructor is slow.
    return Session(
        session_id=row[0],
        user_id=row[1],
        workspace_id=row[2],
        role=_ROLES[row[3]],
        epoch=row[4],
        version=row[5],
        status=_STATUSES[row[6]],
        created_at=row[7],
        extended_at=row[8],
        expires_at=row[9],
        switched_at=row[10],
        ended_at=row[11],
        end_cause=_CAUSES[row[12]],
        actor_user_id=row[13],
        device=row[14],
        address=row[15],
    )


async def by_secret(pool: Pool, secret_hash: bytes) -> Session | None:
    """Return the session behind a cookie, live or not: the one read of a mint."""
    row = await pool.fetchrow(_BY_SECRET, secret_hash)
    return None if row is None else _session(row)


async def find_by_secret(db: Db, secret_hash: bytes) -> Session | None:
    """As `by_secret`, inside a transaction."""
    row = await db.fetchrow(_BY_SECRET, secret_hash)
    return None if row is None else _session(row)


async def lock_by_secret(db: Db, secret_hash: bytes) -> Session | None:
    """Return the session behind a cookie, locked."""
    row = await db.fetchrow(f"{_BY_SECRET} FOR UPDATE", secret_hash)
    return None if row is None else _session(row)


async def by_id(db: Db | Pool, session_id: UUID) -> Session | None:
    """Return one session."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM sessions WHERE session_id = $1", session_id)
    return None if row is None else _session(row)


async def lock(db: Db, session_id: UUID) -> Session | None:
    """Return one session, locked until the transaction ends."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM sessions WHERE session_id = $1 FOR UPDATE", session_id)
    return None if row is None else _session(row)


async def lock_live_of_user(db: Db, user_id: UUID, *, also_as_actor: bool = False) -> tuple[Session, ...]:
    """Lock all live sessions of a user; with `also_as_actor`, also those in which they act as somebody else."""
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM sessions
            WHERE status = 'active' AND (user_id = $1 OR ($2 AND actor_user_id = $1))
            ORDER BY session_id FOR UPDATE""",
        user_id,
        also_as_actor,
    )
    return tuple(_session(row) for row in rows)


async def lock_live_in_workspace(
    db: Db, workspace_id: UUID, *, switched_after: datetime, user_id: UUID | None = None
) -> tuple[Session, ...]:
    """Return the live sessions (of one user, or of all) that hold a JWT for the workspace, locked.

    A session that has left this workspace for another since `switched_after` may still have one in somebody's hands.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        switched_after: sessions that left the workspace later than this count as well, in UTC.
        user_id: only this person's; None for all.

    """
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM sessions
            WHERE status = 'active' AND ($3::uuid IS NULL OR user_id = $3)
              AND (workspace_id = $1 OR session_id IN (
                     SELECT d.session_id FROM session_departures AS d WHERE d.workspace_id = $1 AND d.left_at > $2))
            ORDER BY session_id FOR UPDATE""",
        workspace_id,
        switched_after,
        user_id,
    )
    return tuple(_session(row) for row in rows)


async def lock_overdue(db: Db, now: datetime, limit: int) -> tuple[Session, ...]:
    """Live sessions whose time has run out; rows that another replica is working on are left to it."""
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM sessions WHERE status = 'active' AND expires_at <= $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED""",
        now,
        limit,
    )
    return tuple(_session(row) for row in rows)


async def lock_page(db: Db, after: UUID | None, limit: int) -> tuple[Session, ...]:
    """Return the next sessions that verifiers may still hear of, in the order of their ids, locked."""
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM sessions WHERE purged_at IS NULL AND ($1::uuid IS NULL OR session_id > $1)
            ORDER BY session_id LIMIT $2 FOR UPDATE""",
        after,
        limit,
    )
    return tuple(_session(row) for row in rows)


async def insert(db: Db, session: Session, secret_hash: bytes) -> None:
    """A new session."""
    await db.execute(
        f"""INSERT INTO sessions ({_COLUMNS}, secret_hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)""",
        *(getattr(session, name) for name in _NAMES),
        secret_hash,
    )


async def save(db: Db, sessions: Sequence[Session]) -> None:
    """Changed sessions, in one statement. Their rows are locked already."""
    await db.execute(
        """UPDATE sessions AS s
           SET workspace_id = c.workspace_id, role = c.role, epoch = c.epoch, version = c.version, status = c.status,
               extended_at = c.extended_at, expires_at = c.expires_at, switched_at = c.switched_at,
               ended_at = c.ended_at, end_cause = c.end_cause
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::int[], $6::text[], $7::timestamptz[],
                       $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[])
                AS c (session_id, workspace_id, role, epoch, version, status, extended_at, expires_at, switched_at,
                      ended_at, end_cause)
           WHERE s.session_id = c.session_id""",
        [s.session_id for s in sessions],
        [s.workspace_id for s in sessions],
        [s.role for s in sessions],
        [s.epoch for s in sessions],
        [s.version for s in sessions],
        [s.status for s in sessions],
        [s.extended_at for s in sessions],
        [s.expires_at for s in sessions],
        [s.switched_at for s in sessions],
        [s.ended_at for s in sessions],
        [s.end_cause for s in sessions],
    )


async def note_departure(db: Db, session_id: UUID, workspace_id: UUID, now: datetime) -> None:
    """Remember that the session left a workspace, for whose JWTs it still answers until they are too old.

    Args:
        db: the connection or the transaction to use.
        session_id: the session.
        workspace_id: the workspace.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO session_departures (session_id, workspace_id, left_at) VALUES ($1, $2, $3)
           ON CONFLICT (session_id, workspace_id) DO UPDATE SET left_at = excluded.left_at""",
        session_id,
        workspace_id,
        now,
    )


async def replace_secret(db: Db, session_id: UUID, secret_hash: bytes) -> None:
    """Another cookie for the same session; the old one is worth nothing from the commit on."""
    await db.execute("UPDATE sessions SET secret_hash = $2 WHERE session_id = $1", session_id, secret_hash)


async def live_of_user(pool: Pool, user_id: UUID, now: datetime) -> tuple[Session, ...]:
    """Return what a user is signed in with, newest use first."""
    rows = await pool.fetch(
        f"""SELECT {_COLUMNS} FROM sessions WHERE user_id = $1 AND status = 'active' AND expires_at > $2
            ORDER BY extended_at DESC, session_id""",
        user_id,
        now,
    )
    return tuple(_session(row) for row in rows)


async def live_page(
    pool: Pool, now: datetime, *, workspace_id: UUID | None, user_id: UUID | None, before: UUID | None, limit: int
) -> tuple[Session, ...]:
    """Live sessions in a workspace (None: in all), of one user or of everybody, the latest sign-in first.

    Args:
        pool: the service's database.
        now: the present time, in UTC.
        workspace_id: the workspace; None for all.
        user_id: only this person's; None for all.
        before: where the page begins: with what is older than this one; None for the newest page.
        limit: how many are returned at most.

    """
    rows = await pool.fetch(
        f"""SELECT {_COLUMNS} FROM sessions
            WHERE status = 'active' AND expires_at > $1 AND ($2::uuid IS NULL OR workspace_id = $2)
              AND ($3::uuid IS NULL OR user_id = $3) AND ($4::uuid IS NULL OR session_id < $4)
            ORDER BY session_id DESC LIMIT $5""",
        now,
        workspace_id,
        user_id,
        before,
        limit,
    )
    return tuple(_session(row) for row in rows)


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is over, as the compacted topic knows it."""

    session_id: UUID
    version: int


async def lock_unpurged(db: Db, ended_before: datetime, limit: int) -> tuple[Ended, ...]:
    """Ended sessions whose last JWT is dead, so that verifiers may forget them."""
    rows = await db.fetch(
        """SELECT session_id, version FROM sessions
           WHERE status <> 'active' AND purged_at IS NULL AND ended_at < $1
           ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED""",
        ended_before,
        limit,
    )
    return tuple(Ended(row["session_id"], row["version"]) for row in rows)


async def mark_purged(db: Db, session_ids: Sequence[UUID], now: datetime) -> None:
    """Their tombstones are in the outbox."""
    await db.execute("UPDATE sessions SET purged_at = $2 WHERE session_id = ANY($1::uuid[])", list(session_ids), now)


async def delete_old(pool: Pool, purged_before: datetime, limit: int) -> int:
    """Forget sessions whose end nobody will ask about; returns how many."""
    status = await pool.execute(
        """WITH old AS (
             SELECT session_id FROM sessions WHERE purged_at < $1 AND status <> 'active'
               AND session_id NOT IN (SELECT i.session_id FROM impersonations AS i)
             ORDER BY purged_at LIMIT $2)
           DELETE FROM sessions AS s USING old WHERE s.session_id = old.session_id""",
        purged_before,
        limit,
    )
    return int(status.split()[-1])


async def insert_impersonation(db: Db, session: Session, *, reason: str, ticket: str | None, now: datetime) -> None:
    """Why this session acts as somebody else.

    Args:
        db: the connection or the transaction to use.
        session: the session.
        reason: why, as it was given.
        ticket: the support ticket.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO impersonations (session_id, actor_user_id, user_id, reason, ticket, started_at)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        session.session_id,
        session.actor_user_id,
        session.user_id,
        reason,
        ticket,
        now,
    )


async def impersonations_of(pool: Pool, user_id: UUID, since: datetime) -> tuple[Impersonation, ...]:
    """Return when support acted as this user, newest first. `ended_at` may lie ahead: it is still going on."""
    rows = await pool.fetch(
        """SELECT i.session_id, i.actor_user_id, u.name AS actor_name, i.user_id, i.reason, i.ticket, i.started_at,
                  coalesce(s.ended_at, s.expires_at) AS ended_at
           FROM impersonations AS i
           JOIN users AS u ON u.user_id = i.actor_user_id
           JOIN sessions AS s ON s.session_id = i.session_id
           WHERE i.user_id = $1 AND i.started_at > $2 ORDER BY i.started_at DESC LIMIT 100""",
        user_id,
        since,
    )
    return tuple(Impersonation(**dict(row.items())) for row in rows)
