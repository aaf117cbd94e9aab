"""The one read that serving an access token needs: account, grant and sealed credential together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts import AccountAccess, RevocationCause, TokenKind, TokenStatus
from common.postgres import Db
from oauth_svc.store.credentials import SealedCredential


@dataclass(frozen=True, slots=True)
class AccessRow:
    """What decides over one request, and what is served."""

    account_id: UUID
    external_id: str
    account_name: str
    access: AccountAccess
    account_since: datetime
    account_cause: str | None
    details: dict[str, Any]
    connection_id: UUID
    workspace_id: UUID
    provider: str
    kind: TokenKind
    status: TokenStatus
    since: datetime
    cause: RevocationCause | None
    access_expires_at: datetime | None
    scopes_missing: tuple[str, ...]
    sealed: SealedCredential | None


async def rows(db: Db, account_ids: Sequence[UUID]) -> dict[UUID, AccessRow]:
    """By account id; unknown ids are left out."""
    found = await db.fetch(
        """SELECT a.account_id, a.external_id, a.name, a.access, a.since AS account_since, a.cause AS account_cause,
             a.details, c.connection_id, c.workspace_id, c.provider, c.kind, c.status, c.since, c.cause,
             c.access_expires_at, c.scopes_missing, k.key_id, k.version, k.generation, k.sealed, k.issued_at
           FROM account a JOIN connection c USING (connection_id) LEFT JOIN credential k USING (connection_id)
           WHERE a.account_id = ANY($1)""",
        list(account_ids),
    )
    return {
        row["account_id"]: AccessRow(
            account_id=row["account_id"],
            external_id=row["external_id"],
            account_name=row["name"],
            access=AccountAccess(row["access"]),
            account_since=row["account_since"],
            account_cause=row["account_cause"],
            details=row["details"] or {},
            connection_id=row["connection_id"],
            workspace_id=row["workspace_id"],
            provider=row["provider"],
            kind=TokenKind(row["kind"]),
            status=TokenStatus(row["status"]),
            since=row["since"],
            cause=RevocationCause(row["cause"]) if row["cause"] else None,
            access_expires_at=row["access_expires_at"],
            scopes_missing=tuple(row["scopes_missing"]),
            sealed=None
            if row["sealed"] is None
            else SealedCredential(
                row["connection_id"],
                row["workspace_id"],
                row["key_id"],
                row["version"],
                row["generation"],
                row["sealed"],
                row["issued_at"],
            ),
        )
        for row in found
    }
