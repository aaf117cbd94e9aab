"""The audit trail: written and read, never changed."""

from collections.abc import Sequence
from uuid import UUID

from common.postgres import Db
from session_svc.core.audit import Action, AuditedAct

_COLUMNS = (
    "audit_id, at, action, workspace_id, actor_user_id, as_user_id, client_id, session_id, target_kind, target_id, "
    "address, reason, details"
)


async def add(db: Db, entries: Sequence[AuditedAct]) -> None:
    """New lines, in the transaction of what they tell."""
    await db.executemany(
        f"INSERT INTO audit ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            (
                entry.audit_id,
                entry.at,
                entry.action,
                entry.workspace_id,
                entry.actor_user_id,
                entry.as_user_id,
                entry.client_id,
                entry.session_id,
                entry.target_kind,
                entry.target_id,
                entry.address,
                entry.reason,
                dict(entry.details),
            )
            for entry in entries
        ],
    )


async def page(db: Db, *, workspace_id: UUID | None, before: UUID | None, limit: int) -> tuple[AuditedAct, ...]:
    """Return the newest lines of a workspace (None: of all), older than `before`.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace; None for all.
        before: where the page begins: with what is older than this one; None for the newest page.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        f"""SELECT {_COLUMNS} FROM audit
            WHERE ($1::uuid IS NULL OR workspace_id = $1) AND ($2::uuid IS NULL OR audit_id < $2)
            ORDER BY audit_id DESC LIMIT $3""",
        workspace_id,
        before,
        limit,
    )
    return tuple(AuditedAct(**{**dict(row.items()), "action": Action(row["action"])}) for row in rows)
