"""Accounts below connections: what the platform lists, and whether access to each works."""

from collections.abc import Sequence
from uuid import UUID

from common.postgres import Db
from oauth_svc.core.connection import Account, Connection
from oauth_svc.store.rows import ACCOUNT_COLUMNS, COLUMNS, account_of, accounts_of, connection_of


async def page(
    db: Db, workspace_id: UUID, *, connection_id: UUID | None, after: UUID | None, limit: int
) -> list[tuple[Account, Connection]]:
    """Return a page of the workspace's accounts, in the order of their ids.

    Args:
        db: the connection or the transaction to use.
        workspace_id: the workspace.
        connection_id: the connection; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    rows = await db.fetch(
        f"""SELECT {ACCOUNT_COLUMNS} FROM account WHERE workspace_id = $1
              AND ($2::uuid IS NULL OR account_id > $2) AND ($4::uuid IS NULL OR connection_id = $4)
            ORDER BY account_id LIMIT $3""",
        workspace_id,
        after,
        limit,
        connection_id,
    )
    parents = {
        row["connection_id"]: connection_of(row)
        for row in await db.fetch(
            f"SELECT {COLUMNS} FROM connection c WHERE c.connection_id = ANY($1)",
            list({row["connection_id"] for row in rows}),
        )
    }
    return [(account_of(row), parents[row["connection_id"]]) for row in rows if row["connection_id"] in parents]


async def get(db: Db, workspace_id: UUID | None, account_id: UUID) -> tuple[Account, Connection] | None:
    """Return one account with its connection; `workspace_id` None is for service clients, which serve all."""
    row = await db.fetchrow(
        f"""SELECT {ACCOUNT_COLUMNS} FROM account WHERE account_id = $1
              AND ($2::uuid IS NULL OR workspace_id = $2)""",
        account_id,
        workspace_id,
    )
    if row is None:
        return None
    parent = await db.fetchrow(f"SELECT {COLUMNS} FROM connection c WHERE c.connection_id = $1", row["connection_id"])
    if parent is None:
        return None
    siblings = await accounts_of(db, [row["connection_id"]])
    return account_of(row), connection_of(parent, siblings.get(row["connection_id"], ()))


async def save(db: Db, changed: Sequence[tuple[Connection, Sequence[Account]]]) -> None:
    """Insert or update accounts of connections that this transaction has locked."""
    flat = [(account, connection) for connection, accounts in changed for account in accounts]
    if not flat:
        return
    await db.execute(
        """INSERT INTO account (account_id, connection_id, workspace_id, external_id, name, access, since, cause,
             verified_at, details, asked)
           SELECT n.account_id, n.connection_id, n.workspace_id, n.external_id, n.name, n.access, n.since, n.cause,
             n.verified_at, n.details, n.asked
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                       $8::text[], $9::timestamptz[], $10::jsonb[], $11::boolean[])
             AS n(account_id, connection_id, workspace_id, external_id, name, access, since, cause, verified_at,
                  details, asked)
           ON CONFLICT (connection_id, external_id) DO UPDATE SET name = excluded.name, access = excluded.access,
             since = excluded.since, cause = excluded.cause, verified_at = excluded.verified_at,
             details = excluded.details, asked = excluded.asked""",
        [account.account_id for account, _ in flat],
        [connection.connection_id for _, connection in flat],
        [connection.workspace_id for _, connection in flat],
        [account.external_id for account, _ in flat],
        [account.name for account, _ in flat],
        [account.access.value for account, _ in flat],
        [account.since for account, _ in flat],
        [account.cause and account.cause.value for account, _ in flat],
        [account.verified_at for account, _ in flat],
        [dict(account.details) for account, _ in flat],
        [account.asked for account, _ in flat],
    )
