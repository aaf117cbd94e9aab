"""Invitations to workspaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool, Record
from session_svc.core.invitations import Invitation, InvitationState
from session_svc.core.people import Role

_COLUMNS = """i.invitation_id, i.workspace_id, w.name AS workspace_name, i.email, i.email_key, i.role, i.invited_by,
              u.name AS inviter_name, i.state, i.created_at, i.expires_at"""
_FROM = """invitations AS i JOIN workspaces AS w ON w.workspace_id = i.workspace_id
           JOIN users AS u ON u.user_id = i.invited_by"""


def _invitation(row: Record) -> Invitation:
    return Invitation(
        invitation_id=row["invitation_id"],
        workspace_id=row["workspace_id"],
        workspace_name=row["workspace_name"],
        email=row["email"],
        email_key=row["email_key"],
        role=Role(row["role"]),
        invited_by=row["invited_by"],
        inviter_name=row["inviter_name"],
        state=InvitationState(row["state"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


async def put_open(db: Db, new: Invitation, *, mail_due_at: datetime) -> UUID:
    """Store an open invitation; one that is open already for this address takes the new role and end.

    Args:
        db: the transaction.
        new: the invitation.
        mail_due_at: when its mail may leave.

    Returns:
        The id of the open invitation: the new one's, or that of the one that was open.

    """
    kept: UUID = await db.fetchval(
        """INSERT INTO invitations (invitation_id, workspace_id, email, email_key, role, invited_by, state, created_at,
                                    expires_at, mail_due_at)
           VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9)
           ON CONFLICT (workspace_id, email_key) WHERE state = 'open' DO UPDATE
           SET role = excluded.role, invited_by = excluded.invited_by, expires_at = excluded.expires_at,
               mail_due_at = excluded.mail_due_at, mail_attempt = 0
           RETURNING invitation_id""",
        new.invitation_id,
        new.workspace_id,
        new.email,
        new.email_key,
        new.role,
        new.invited_by,
        new.created_at,
        new.expires_at,
        mail_due_at,
    )
    return kept


async def lock(db: Db, invitation_id: UUID) -> Invitation | None:
    """Return one invitation, locked."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM {_FROM} WHERE i.invitation_id = $1 FOR UPDATE OF i", invitation_id)
    return None if row is None else _invitation(row)


async def by_secret(db: Db | Pool, secret_hash: bytes) -> Invitation | None:
    """Return the invitation behind a mailed link."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM {_FROM} WHERE i.secret_hash = $1", secret_hash)
    return None if row is None else _invitation(row)


async def open_for_address(pool: Pool, email_key: str, now: datetime) -> tuple[Invitation, ...]:
    """Return what this address is invited to, newest first."""
    rows = await pool.fetch(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE i.email_key = $1 AND i.state = 'open' AND i.expires_at > $2
            ORDER BY i.created_at DESC, i.invitation_id LIMIT 100""",
        email_key,
        now,
    )
    return tuple(_invitation(row) for row in rows)


async def open_in_workspace(
    pool: Pool, workspace_id: UUID, now: datetime, *, after: UUID | None, limit: int
) -> tuple[Invitation, ...]:
    """Return a page of the workspace's open invitations, in the order of their ids.

    Args:
        pool: the service's database.
        workspace_id: the workspace.
        now: the present time, in UTC.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    rows = await pool.fetch(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE i.workspace_id = $1 AND i.state = 'open' AND i.expires_at > $2
              AND ($3::uuid IS NULL OR i.invitation_id > $3)
            ORDER BY i.invitation_id LIMIT $4""",
        workspace_id,
        now,
        after,
        limit,
    )
    return tuple(_invitation(row) for row in rows)


async def decide(db: Db, invitation_id: UUID, state: InvitationState, now: datetime) -> None:
    """Store the answer to a locked invitation; its link and its mail end with it.

    Args:
        db: the connection or the transaction to use.
        invitation_id: the invitation.
        state: accepted, declined or withdrawn.
        now: the present time, in UTC.

    """
    await db.execute(
        """UPDATE invitations SET state = $2, decided_at = $3, sealed_secret = NULL, mail_due_at = NULL
           WHERE invitation_id = $1""",
        invitation_id,
        state,
        now,
    )


async def end_links_of(db: Db, email_key: str) -> None:
    """End the mailed links to an address. The invitations stay open for whoever signs in with it."""
    await db.execute(
        "UPDATE invitations SET secret_hash = NULL, sealed_secret = NULL WHERE email_key = $1 AND state = 'open'",
        email_key,
    )


@dataclass(frozen=True, slots=True, repr=False)
class DueMail:
    """An invitation whose mail is due."""

    invitation_id: UUID
    email: str
    workspace_name: str
    inviter_name: str
    role: Role
    attempt: int
    sealed_secret: bytes | None


async def claim_due_mails(pool: Pool, now: datetime, until: datetime, limit: int) -> Sequence[DueMail]:
    """Take invitations whose mail is due; other replicas leave them alone until `until`.

    Args:
        pool: the service's database.
        now: the present time, in UTC.
        until: how long other replicas leave them alone, in UTC.
        limit: how many are taken at most.

    """
    rows = await pool.fetch(
        """UPDATE invitations AS i SET mail_due_at = $2, mail_attempt = i.mail_attempt + 1
           FROM (SELECT invitation_id FROM invitations
                 WHERE mail_due_at <= $1 AND state = 'open' AND expires_at > $1
                 ORDER BY mail_due_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS due,
                workspaces AS w, users AS u
           WHERE i.invitation_id = due.invitation_id AND w.workspace_id = i.workspace_id AND u.user_id = i.invited_by
           RETURNING i.invitation_id, i.email, w.name AS workspace_name, u.name AS inviter_name, i.role,
                     i.mail_attempt AS attempt, i.sealed_secret""",
        now,
        until,
        limit,
    )
    return [DueMail(**{**dict(row.items()), "role": Role(row["role"])}) for row in rows]


async def prepare_link(pool: Pool, invitation_id: UUID, *, secret_hash: bytes, sealed_secret: bytes) -> None:
    """Store the link that is about to be mailed. Tried again, it is the same link.

    Args:
        pool: the service's database.
        invitation_id: the invitation.
        secret_hash: the digest under which the secret is looked up.
        sealed_secret: the secret of the link, encrypted.

    """
    await pool.execute(
        "UPDATE invitations SET secret_hash = $2, sealed_secret = $3 WHERE invitation_id = $1 AND state = 'open'",
        invitation_id,
        secret_hash,
        sealed_secret,
    )


async def mail_at(pool: Pool, invitation_id: UUID, due_at: datetime | None) -> None:
    """Set when the mail is tried again; None when no mail is owed any more."""
    await pool.execute(
        """UPDATE invitations
           SET mail_due_at = $2, sealed_secret = CASE WHEN $2::timestamptz IS NULL THEN NULL ELSE sealed_secret END
           WHERE invitation_id = $1""",
        invitation_id,
        due_at,
    )


async def purge(pool: Pool, ended_before: datetime) -> int:
    """Forget old invitations; returns how many."""
    status = await pool.execute("DELETE FROM invitations WHERE expires_at < $1", ended_before)
    return int(status.split()[-1])
