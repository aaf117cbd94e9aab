"""Users, workspaces, memberships."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common import addresses
from common.postgres import Db, Pool, Record
from session_svc.core.errors import NotFoundError
from session_svc.core.people import Member, Membership, Role, User

_USER = "u.user_id, u.email, u.name, u.support_admin, u.epoch, u.time_zone, u.locale, u.disabled_at"


def _user(row: Record) -> User:
    return User(
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        support_admin=row["support_admin"],
        epoch=row["epoch"],
        time_zone=row["time_zone"],
        locale=row["locale"],
        disabled_at=row["disabled_at"],
    )


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user and the hash of their password."""

    user: User
    password_hash: str | None


async def credentials_by_email(db: Db | Pool, email: str) -> Credentials | None:
    """Return who has this address."""
    row = await db.fetchrow(
        f"SELECT {_USER}, u.password_hash FROM users AS u WHERE u.email_key = $1", addresses.key(email)
    )
    return None if row is None else Credentials(_user(row), row["password_hash"])


async def credentials(db: Db | Pool, user_id: UUID) -> Credentials | None:
    """Return a user with their password's hash."""
    row = await db.fetchrow(f"SELECT {_USER}, u.password_hash FROM users AS u WHERE u.user_id = $1", user_id)
    return None if row is None else Credentials(_user(row), row["password_hash"])


async def user(db: Db | Pool, user_id: UUID) -> User | None:
    """Return one user."""
    row = await db.fetchrow(f"SELECT {_USER} FROM users AS u WHERE u.user_id = $1", user_id)
    return None if row is None else _user(row)


async def lock_user(db: Db, user_id: UUID) -> User | None:
    """Return one user, locked.

    Whoever makes or ends sessions of a user locks the user first: a sign-in beside a forced logout is then either
    ended by it, or comes after it with the new epoch.
    """
    row = await db.fetchrow(f"SELECT {_USER} FROM users AS u WHERE u.user_id = $1 FOR UPDATE", user_id)
    return None if row is None else _user(row)


async def raise_epoch(db: Db, user_id: UUID) -> int:
    """JWTs of a lower epoch are dead; returns the new one."""
    epoch: int = await db.fetchval("UPDATE users SET epoch = epoch + 1 WHERE user_id = $1 RETURNING epoch", user_id)
    return epoch


async def insert_user(db: Db, new: User, password_hash: str | None, now: datetime) -> bool:
    """Return a new user; False when the address is taken.

    Args:
        db: the connection or the transaction to use.
        new: the user.
        password_hash: the argon2id hash; None while no password was set.
        now: the present time, in UTC.

    """
    status = await db.execute(
        """INSERT INTO users (user_id, email, email_key, name, password_hash, support_admin, epoch, time_zone, locale,
                              disabled_at, password_changed_at, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT (email_key) DO NOTHING""",
        new.user_id,
        new.email,
        addresses.key(new.email),
        new.name,
        password_hash,
        new.support_admin,
        new.epoch,
        new.time_zone,
        new.locale,
        new.disabled_at,
        now,
    )
    return status == "INSERT 0 1"


async def insert_or_find(db: Db, new: User, password_hash: str | None, now: datetime) -> tuple[User, bool]:
    """Return who has this address now, and whether they are new; somebody who was here already keeps everything.

    Args:
        db: the connection or the transaction to use.
        new: the user.
        password_hash: the argon2id hash; None while no password was set.
        now: the present time, in UTC.

    Raises:
        NotFoundError: they were here, and left at this very moment.

    """
    if await insert_user(db, new, password_hash, now):
        return new, True
    known = await credentials_by_email(db, new.email)
    if known is None:
        raise NotFoundError("user")
    return known.user, False


async def set_password(db: Db, user_id: UUID, password_hash: str, now: datetime) -> None:
    """A new password.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        password_hash: the argon2id hash; None while no password was set.
        now: the present time, in UTC.

    """
    await db.execute(
        "UPDATE users SET password_hash = $2, password_changed_at = $3 WHERE user_id = $1", user_id, password_hash, now
    )


async def replace_hash(pool: Pool, user_id: UUID, old_hash: str, new_hash: str) -> None:
    """The same password under newer parameters, unless it was changed meanwhile.

    Args:
        pool: the service's database.
        user_id: the person.
        old_hash: the hash that the password was checked with.
        new_hash: the same password under newer parameters.

    """
    await pool.execute(
        "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2", user_id, old_hash, new_hash
    )


async def set_disabled(db: Db, user_id: UUID, at: datetime | None) -> None:
    """Disabled since `at`; None enables."""
    await db.execute("UPDATE users SET disabled_at = $2 WHERE user_id = $1", user_id, at)


async def set_support_admin(db: Db, user_id: UUID) -> None:
    """From now on a support admin."""
    await db.execute("UPDATE users SET support_admin = true WHERE user_id = $1", user_id)


async def memberships(db: Db | Pool, user_id: UUID) -> tuple[Membership, ...]:
    """Return the workspaces of a user, the one used last first, then the oldest membership."""
    rows = await db.fetch(
        """SELECT m.workspace_id, w.name, m.role FROM memberships AS m
           JOIN workspaces AS w ON w.workspace_id = m.workspace_id
           WHERE m.user_id = $1 ORDER BY m.last_used_at DESC NULLS LAST, m.created_at, m.workspace_id""",
        user_id,
    )
    return tuple(Membership(row["workspace_id"], row["name"], Role(row["role"])) for row in rows)


async def membership(db: Db | Pool, user_id: UUID, workspace_id: UUID) -> Membership | None:
    """Return a user's place in one workspace."""
    row = await db.fetchrow(
        """SELECT m.workspace_id, w.name, m.role FROM memberships AS m
           JOIN workspaces AS w ON w.workspace_id = m.workspace_id
           WHERE m.user_id = $1 AND m.workspace_id = $2""",
        user_id,
        workspace_id,
    )
    return None if row is None else Membership(row["workspace_id"], row["name"], Role(row["role"]))


async def put_membership(db: Db, user_id: UUID, workspace_id: UUID, role: Role, now: datetime) -> None:
    """A user's role in a workspace.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        workspace_id: the workspace.
        role: the role in the workspace.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO memberships (user_id, workspace_id, role, created_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (user_id, workspace_id) DO UPDATE SET role = excluded.role""",
        user_id,
        workspace_id,
        role,
        now,
    )


async def add_membership(db: Db, user_id: UUID, workspace_id: UUID, role: Role, now: datetime) -> None:
    """Make a user a member of a workspace; a role that they have there already stays.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        workspace_id: the workspace.
        role: the role in the workspace.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO memberships (user_id, workspace_id, role, created_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (user_id, workspace_id) DO NOTHING""",
        user_id,
        workspace_id,
        role,
        now,
    )


async def member_by_email(db: Db, key: str, workspace_id: UUID) -> bool:
    """Return whether a member of the workspace has this address, given as `email_key`."""
    row = await db.fetchrow(
        """SELECT m.user_id FROM memberships AS m JOIN users AS u ON u.user_id = m.user_id
           WHERE u.email_key = $1 AND m.workspace_id = $2""",
        key,
        workspace_id,
    )
    return row is not None


async def note_use(db: Db, user_id: UUID, workspace_id: UUID, now: datetime) -> None:
    """Remember that the user works in this workspace: their next sign-in begins there.

    Args:
        db: the connection or the transaction to use.
        user_id: the person.
        workspace_id: the workspace.
        now: the present time, in UTC.

    """
    await db.execute(
        "UPDATE memberships SET last_used_at = $3 WHERE user_id = $1 AND workspace_id = $2", user_id, workspace_id, now
    )


async def delete_membership(db: Db, user_id: UUID, workspace_id: UUID) -> None:
    """The user is no longer part of the workspace."""
    await db.execute("DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", user_id, workspace_id)


async def roles_in(db: Db, workspace_id: UUID, user_ids: Sequence[UUID]) -> dict[UUID, Role]:
    """Return what these users are in a workspace: support admins are that everywhere, strangers are left out."""
    rows = await db.fetch(
        """SELECT u.user_id, u.support_admin, m.role FROM users AS u
           LEFT JOIN memberships AS m ON m.user_id = u.user_id AND m.workspace_id = $1
           WHERE u.user_id = ANY($2::uuid[]) AND (u.support_admin OR m.role IS NOT NULL)""",
        workspace_id,
        list(user_ids),
    )
    return {row["user_id"]: Role.SUPPORT_ADMIN if row["support_admin"] else Role(row["role"]) for row in rows}


async def lock_owners(db: Db, workspace_id: UUID) -> tuple[UUID, ...]:
    """Return the owners of a workspace, locked, so that the last one cannot be removed twice at once."""
    rows = await db.fetch(
        """SELECT user_id FROM memberships WHERE workspace_id = $1 AND role = 'owner'
           ORDER BY user_id FOR UPDATE""",
        workspace_id,
    )
    return tuple(row["user_id"] for row in rows)


async def insert_workspace(db: Db, workspace_id: UUID, name: str, now: datetime) -> bool:
    """Return a new workspace; False when the id is known.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        name: the name that people see.
        now: the present time, in UTC.

    """
    status = await db.execute(
        "INSERT INTO workspaces (workspace_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        workspace_id,
        name,
        now,
    )
    return status == "INSERT 0 1"


async def workspace_named(db: Db, name: str) -> UUID | None:
    """Return the oldest workspace of this name: how a command that is run twice finds what it made."""
    found: UUID | None = await db.fetchval(
        "SELECT workspace_id FROM workspaces WHERE name = $1 ORDER BY created_at, workspace_id LIMIT 1", name
    )
    return found


async def workspace_exists(db: Db | Pool, workspace_id: UUID) -> bool:
    """Return whether there is such a workspace."""
    row = await db.fetchrow("SELECT workspace_id FROM workspaces WHERE workspace_id = $1", workspace_id)
    return row is not None


async def members(
    pool: Pool,
    *,
    workspace_id: UUID | None,
    user_id: UUID | None,
    search: str | None,
    after: tuple[UUID, UUID] | None,
    limit: int,
) -> tuple[Member, ...]:
    """People with their places, in the order of (user, workspace); one line per membership.

    `search` is a part of the name or the address, as a person types it; every letter of it is meant literally.

    Args:
        pool: the service's database.
        workspace_id: the workspace; None for all.
        user_id: only this person; None for all.
        search: a part of the name or the address; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    rows = await pool.fetch(
        f"""SELECT {_USER}, m.workspace_id, w.name AS workspace_name, m.role FROM memberships AS m
            JOIN users AS u ON u.user_id = m.user_id JOIN workspaces AS w ON w.workspace_id = m.workspace_id
            WHERE ($1::uuid IS NULL OR m.workspace_id = $1) AND ($2::uuid IS NULL OR m.user_id = $2)
              AND ($3::uuid IS NULL OR (m.user_id, m.workspace_id) > ($3, $4))
              AND ($6::text IS NULL OR strpos(u.email_key, $6) > 0 OR strpos(lower(u.name), $6) > 0)
            ORDER BY m.user_id, m.workspace_id LIMIT $5""",
        workspace_id,
        user_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
        addresses.key(search) if search else None,
    )
    return tuple(Member(_user(row), row["workspace_id"], row["workspace_name"], Role(row["role"])) for row in rows)


async def names(db: Db | Pool, user_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return what these people are called."""
    rows = await db.fetch("SELECT user_id, name FROM users WHERE user_id = ANY($1::uuid[])", list(user_ids))
    return {row["user_id"]: row["name"] for row in rows}
