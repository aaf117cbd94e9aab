"""Grants and their accounts, as the events describe them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import AccountAccessChangedV1, RevocationCause, TokenRef
from common.postgres import Db, Pool, Record, translate_errors
from rule_pauser.core.grants import KnownGrant, Life


async def lock_grant(db: Db, token: TokenRef, at: datetime) -> KnownGrant | None:
    """Lock the grant's row, which is made if there is none, and return what was known before; None: nothing was."""
    await db.execute(
        """INSERT INTO token (token_id, kind, workspace_id, provider, version, life, since)
           VALUES ($1, $2, $3, $4, 0, 'live', $5)
           ON CONFLICT (token_id) DO NOTHING""",
        token.token_id,
        token.kind,
        token.workspace_id,
        token.provider,
        at,
    )
    row = await db.fetchrow(
        "SELECT version, life, cause, since, expires_at, passed_at FROM token WHERE token_id = $1 FOR UPDATE",
        token.token_id,
    )
    return None if row is None or row["version"] == 0 else _grant(row)


async def put_grant(db: Db, token: TokenRef, grant: KnownGrant) -> None:
    """Store the grant's new life; its row is locked by `lock_grant`."""
    await db.execute(
        """UPDATE token SET workspace_id = $2, provider = $3, version = $4, life = $5, cause = $6, since = $7,
                            expires_at = $8, passed_at = $9
            WHERE token_id = $1""",
        token.token_id,
        token.workspace_id,
        token.provider,
        grant.version,
        grant.life,
        grant.cause,
        grant.since,
        grant.expires_at,
        grant.passed_at,
    )


async def put_accounts(db: Db, token: TokenRef, grant: KnownGrant) -> bool:
    """Remember which accounts the grant gives access to, and lock them all; True if one came that it had not.

    An account moves to another grant only if that one is alive or its own is dead: news of a dead connection must not
    take an account away from the one that replaced it. The locks make a rule that is being stored on these accounts
    wait for this news, or this news for the rule: neither can miss the other.
    """
    accounts = sorted(token.accounts, key=lambda account: account.account_id)
    rows = await db.fetch(
        """SELECT account_id FROM account WHERE account_id = ANY($1::uuid[]) AND token_id = $2
            ORDER BY account_id FOR UPDATE""",
        [account.account_id for account in accounts],
        token.token_id,
    )
    had = {row["account_id"] for row in rows}
    written = await db.fetch(
        """INSERT INTO account (account_id, token_id, workspace_id, provider, external_id, name)
           SELECT a.account_id, $1, $2, $3, a.external_id, a.name
             FROM unnest($4::uuid[], $5::text[], $6::text[]) AS a(account_id, external_id, name)
               ON CONFLICT (account_id) DO UPDATE
              SET token_id = excluded.token_id, workspace_id = excluded.workspace_id, provider = excluded.provider,
                  external_id = excluded.external_id, name = excluded.name,
                  -- What was said of it under another grant says nothing about this one.
                  access = CASE WHEN account.token_id = $1 THEN account.access ELSE 'granted' END,
                  access_version = CASE WHEN account.token_id = $1 THEN account.access_version ELSE 0 END,
                  access_since = CASE WHEN account.token_id = $1 THEN account.access_since END,
                  access_cause = CASE WHEN account.token_id = $1 THEN account.access_cause END
            WHERE account.token_id IS NULL OR account.token_id = $1 OR $7
               OR NOT EXISTS (SELECT 1 FROM token t WHERE t.token_id = account.token_id AND t.life = 'live')
        RETURNING account_id""",
        token.token_id,
        token.workspace_id,
        token.provider,
        [account.account_id for account in accounts],
        [account.external_id for account in accounts],
        [account.name for account in accounts],
        grant.life is Life.LIVE,
    )
    await db.execute("SELECT 1 FROM account WHERE token_id = $1 ORDER BY account_id FOR UPDATE", token.token_id)
    return any(row["account_id"] not in had for row in written)


async def put_access(db: Db, fact: AccountAccessChangedV1, at: datetime) -> bool:
    """Store that one account was lost or came back; False if that is old news, or of a grant that was replaced."""
    status = await db.execute(
        """INSERT INTO account (account_id, token_id, workspace_id, provider, external_id, name, access,
                                access_version, access_since, access_cause)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
               ON CONFLICT (account_id) DO UPDATE
              SET token_id = excluded.token_id, workspace_id = excluded.workspace_id, provider = excluded.provider,
                  external_id = excluded.external_id, name = excluded.name, access = excluded.access,
                  access_version = excluded.access_version, access_since = excluded.access_since,
                  access_cause = excluded.access_cause
            WHERE CASE WHEN account.token_id = excluded.token_id
                       THEN account.access_since IS NULL
                            OR (excluded.access_version, excluded.access_since)
                               > (account.access_version, account.access_since)
                       -- Versions of two grants do not compare: the living one is right.
                       ELSE NOT EXISTS (SELECT 1 FROM token t WHERE t.token_id = account.token_id AND t.life = 'live')
                        END""",
        fact.account.account_id,
        fact.token_id,
        fact.workspace_id,
        fact.provider,
        fact.account.external_id,
        fact.account.name,
        fact.access,
        fact.version,
        at,
        fact.cause,
    )
    return status == "INSERT 0 1"


async def lock_accounts(db: Db, account_ids: Sequence[UUID]) -> None:
    """Keep these accounts as they are until the transaction ends; unknown ones get a row to lock."""
    await db.execute(
        "INSERT INTO account (account_id) SELECT unnest($1::uuid[]) ON CONFLICT (account_id) DO NOTHING",
        sorted(account_ids),
    )
    await db.execute(
        "SELECT 1 FROM account WHERE account_id = ANY($1::uuid[]) ORDER BY account_id FOR SHARE", sorted(account_ids)
    )


async def foreign(db: Db, account_ids: Sequence[UUID], workspace_id: UUID) -> tuple[UUID, ...]:
    """Return those of the accounts that are known to belong to another workspace."""
    rows = await db.fetch(
        "SELECT account_id FROM account WHERE account_id = ANY($1::uuid[]) AND workspace_id <> $2 ORDER BY account_id",
        account_ids,
        workspace_id,
    )
    return tuple(row["account_id"] for row in rows)


async def is_caught_up(pool: Pool) -> bool:
    """Return whether the whole state of all grants was read once."""
    with translate_errors():
        return bool(await pool.fetchval("SELECT EXISTS (SELECT 1 FROM caught_up)"))


async def note_caught_up(pool: Pool, now: datetime) -> None:
    """Remember that it was."""
    with translate_errors():
        await pool.execute("INSERT INTO caught_up (at) VALUES ($1) ON CONFLICT DO NOTHING", now)


def _grant(row: Record) -> KnownGrant:
    cause = row["cause"]
    return KnownGrant(
        row["version"],
        Life(row["life"]),
        row["since"],
        row["expires_at"],
        None if cause is None else RevocationCause(cause),
        row["passed_at"],
    )
