"""Row <-> core value."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from common.contracts import AccountAccess, DetectedBy, RevocationCause, TokenKind, TokenStatus
from common.postgres import Db, Record
from oauth_svc.core.connection import Account, Connection
from oauth_svc.core.gaps import last_good_use

COLUMNS = """c.connection_id, c.workspace_id, c.provider, c.kind, c.subject, c.subject_name, c.owner_user_id,
 c.version, c.status, c.since, c.cause, c.detected_by, c.expires_at, c.access_expires_at, c.scopes_missing,
 c.authorized_at, c.last_refreshed_at, c.last_good_at, c.last_failure"""

ACCOUNT_COLUMNS = """account_id, connection_id, external_id, name, access, since, cause, verified_at, details,
 served_at, used_before, refused_at, asked"""


def connection_of(row: Record, accounts: Sequence[Account] = ()) -> Connection:
    return Connection(
        connection_id=row["connection_id"],
        workspace_id=row["workspace_id"],
        provider=row["provider"],
        kind=TokenKind(row["kind"]),
        subject=row["subject"],
        subject_name=row["subject_name"],
        owner_user_id=row["owner_user_id"],
        version=row["version"],
        status=TokenStatus(row["status"]),
        since=row["since"],
        cause=RevocationCause(row["cause"]) if row["cause"] else None,
        detected_by=DetectedBy(row["detected_by"]) if row["detected_by"] else None,
        expires_at=row["expires_at"],
        access_expires_at=row["access_expires_at"],
        scopes_missing=tuple(row["scopes_missing"]),
        authorized_at=row["authorized_at"],
        last_refreshed_at=row["last_refreshed_at"],
        last_good_at=row["last_good_at"],
        last_failure=row["last_failure"],
        accounts=tuple(accounts),
    )


def account_of(row: Record) -> Account:
    return Account(
        account_id=row["account_id"],
        external_id=row["external_id"],
        name=row["name"],
        access=AccountAccess(row["access"]),
        since=row["since"],
        cause=RevocationCause(row["cause"]) if row["cause"] else None,
        verified_at=row["verified_at"],
        details=row["details"] or {},
        used_at=last_good_use(row["served_at"], row["refused_at"], row["used_before"]),
        asked=row["asked"],
    )


async def accounts_of(db: Db, connection_ids: Iterable[UUID]) -> dict[UUID, list[Account]]:
    """Return the accounts of each connection, in the order they were made."""
    rows = await db.fetch(
        f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE connection_id = ANY($1) ORDER BY account_id",
        list(connection_ids),
    )
    found: dict[UUID, list[Account]] = {}
    for row in rows:
        found.setdefault(row["connection_id"], []).append(account_of(row))
    return found
