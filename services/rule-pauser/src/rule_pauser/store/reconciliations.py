"""Reconciliations: bulk operations that are visible while they run and go on after a crash."""

from datetime import datetime
from uuid import UUID

from common.postgres import Db, Pool, Record, translate_errors
from common.runtime.ids import new_id
from rule_pauser.core.listed import Reconciliation, RuleScope
from rule_pauser.core.pausing import Mode

_COLUMNS = """settlement_id, workspace_id, token_id, account_id, why, fact_at, started_at, finished_at,
 after_rule, seen, paused, resumed, provider"""


async def open_(
    db: Db, reconciliation_id: UUID, scope: RuleScope, *, why: str, fact_at: datetime, now: datetime
) -> None:
    """Ask for the rules of a scope to be reconciled, in the transaction that changed what they depend on.

    Args:
        db: the connection or the transaction to use.
        reconciliation_id: the operation under which the rules are reconciled.
        scope: which rules.
        why: what made it necessary.
        fact_at: when the cause of it happened, in UTC.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO settlement (settlement_id, workspace_id, token_id, account_id, why, fact_at, started_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        reconciliation_id,
        scope.workspace_id,
        scope.token_id,
        scope.account_id,
        why,
        fact_at,
        now,
    )


async def open_for_provider(db: Db, provider: str, *, why: str, fact_at: datetime, now: datetime) -> None:
    """Ask for the rules on a platform's accounts to be reconciled: an operation for each workspace that has any.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        why: what made it necessary.
        fact_at: when the cause of it happened, in UTC.
        now: the present time, in UTC.

    """
    rows = await db.fetch(
        """SELECT DISTINCT r.workspace_id FROM account a
             JOIN rule_account ra USING (account_id)
             JOIN automation_rule r ON r.rule_id = ra.rule_id AND r.workspace_id = a.workspace_id
            WHERE a.provider = $1 AND r.deleted_at IS NULL""",
        provider,
    )
    await db.execute(
        """INSERT INTO settlement (settlement_id, workspace_id, provider, why, fact_at, started_at)
           SELECT s.settlement_id, s.workspace_id, $3, $4, $5, $6
             FROM unnest($1::uuid[], $2::uuid[]) AS s(settlement_id, workspace_id)""",
        [new_id() for _ in rows],
        [row["workspace_id"] for row in rows],
        provider,
        why,
        fact_at,
        now,
    )


async def take(db: Db) -> Reconciliation | None:
    """Return the oldest open reconciliation that nobody works on, locked."""
    row = await db.fetchrow(
        f"""SELECT {_COLUMNS} FROM settlement WHERE finished_at IS NULL
            ORDER BY started_at, settlement_id LIMIT 1 FOR UPDATE SKIP LOCKED"""
    )
    return None if row is None else _reconciliation(row)


async def advance(
    db: Db,
    reconciliation_id: UUID,
    *,
    after_rule: UUID | None,
    seen: int,
    paused: int,
    resumed: int,
    finished_at: datetime | None,
) -> None:
    """Note a batch that was done.

    Args:
        db: the connection or the transaction to use.
        reconciliation_id: the operation under which the rules are reconciled.
        after_rule: the last rule of the batch; None when there was none.
        seen: how many rules the batch had.
        paused: how many of them were paused.
        resumed: how many of them were resumed.
        finished_at: when the whole was done; None while there is more.

    """
    await db.execute(
        """UPDATE settlement SET after_rule = coalesce($2, after_rule), seen = seen + $3, paused = paused + $4,
                                 resumed = resumed + $5, finished_at = $6
            WHERE settlement_id = $1""",
        reconciliation_id,
        after_rule,
        seen,
        paused,
        resumed,
        finished_at,
    )


async def recent(pool: Pool, workspace_id: UUID, limit: int) -> list[Reconciliation]:
    """Return the latest operations of a workspace."""
    with translate_errors():
        rows = await pool.fetch(
            f"SELECT {_COLUMNS} FROM settlement WHERE workspace_id = $1 ORDER BY settlement_id DESC LIMIT $2",
            workspace_id,
            limit,
        )
    return [_reconciliation(row) for row in rows]


async def mode_of(pool: Pool, workspace_id: UUID) -> Mode:
    """Return what a workspace wants of the automatic pause."""
    with translate_errors():
        mode = await pool.fetchval("SELECT mode FROM workspace_mode WHERE workspace_id = $1", workspace_id)
    return Mode.ON if mode is None else Mode(mode)


async def put_mode(db: Db, workspace_id: UUID, mode: Mode, set_by: UUID, now: datetime) -> None:
    """Store what a workspace wants.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        mode: whether rules are paused, left alone, or only said to be paused.
        set_by: the person who chose it.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO workspace_mode (workspace_id, mode, set_at, set_by) VALUES ($1, $2, $3, $4)
           ON CONFLICT (workspace_id) DO UPDATE SET mode = excluded.mode, set_at = excluded.set_at,
                                                    set_by = excluded.set_by""",
        workspace_id,
        mode,
        now,
        set_by,
    )


def _reconciliation(row: Record) -> Reconciliation:
    return Reconciliation(
        reconciliation_id=row["settlement_id"],
        scope=RuleScope(row["workspace_id"], row["token_id"], row["account_id"], row["provider"]),
        why=row["why"],
        fact_at=row["fact_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        after_rule=row["after_rule"],
        seen=row["seen"],
        paused=row["paused"],
        resumed=row["resumed"],
    )
