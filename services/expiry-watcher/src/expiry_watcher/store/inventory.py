"""Writing the inventory: version-checked upserts in batches, and tombstones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts import TokenAccountsV1, TokenKind, TokenStatus
from common.postgres import Db
from expiry_watcher.core.inventory import TokenFact

_UPSERT = """
INSERT INTO token (token_id, kind, provider, workspace_id, owner_user_id, version, whole, status, since,
                   expires_at, access_expires_at, cause, detected_by, missing_scopes, accounts, accounts_total)
SELECT f.token_id, f.kind, f.provider, f.workspace_id, f.owner_user_id, f.version, f.whole, f.status, f.since,
       f.expires_at, f.access_expires_at, f.cause, f.detected_by, f.missing_scopes::jsonb, f.accounts::jsonb,
       f.accounts_total
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::boolean[], $8::text[],
              $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[],
              $15::text[], $16::integer[])
    AS f(token_id, kind, provider, workspace_id, owner_user_id, version, whole, status, since,
         expires_at, access_expires_at, cause, detected_by, missing_scopes, accounts, accounts_total)
    ON CONFLICT (token_id) DO UPDATE SET
       kind = excluded.kind,
       provider = excluded.provider,
       workspace_id = excluded.workspace_id,
       owner_user_id = excluded.owner_user_id,
       version = excluded.version,
       whole = excluded.whole,
       status = excluded.status,
       since = excluded.since,
       -- token.revoked repeats neither dates nor permissions: what is held stays until the whole state comes.
       expires_at = CASE WHEN excluded.status = 'revoked' AND NOT excluded.whole
                         THEN token.expires_at ELSE excluded.expires_at END,
       access_expires_at = excluded.access_expires_at,
       cause = excluded.cause,
       detected_by = excluded.detected_by,
       missing_scopes = CASE WHEN excluded.whole THEN excluded.missing_scopes ELSE token.missing_scopes END,
       accounts = excluded.accounts,
       accounts_total = excluded.accounts_total,
       purged_at = NULL
 WHERE (excluded.version, excluded.whole) > (token.version, token.whole)
RETURNING token_id, kind, workspace_id, status, since, expires_at
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """A token whose row changed, as far as its deadline depends on it."""

    token_id: UUID
    kind: TokenKind
    workspace_id: UUID
    status: TokenStatus
    since: datetime
    expires_at: datetime | None


async def upsert(db: Db, facts: Sequence[TokenFact]) -> list[Changed]:
    """Apply facts that are newer than what is held; returns the tokens that changed.

    At most one fact per token, in the order of token ids (see `core.inventory.waves`): two writers then lock rows
    in one order.
    """
    rows = await db.fetch(
        _UPSERT,
        [fact.token.token_id for fact in facts],
        [fact.token.kind for fact in facts],
        [fact.token.provider for fact in facts],
        [fact.token.workspace_id for fact in facts],
        [fact.token.owner_user_id for fact in facts],
        [fact.token.version for fact in facts],
        [fact.whole for fact in facts],
        [fact.status for fact in facts],
        [fact.since for fact in facts],
        [fact.expires_at for fact in facts],
        [fact.access_expires_at for fact in facts],
        [fact.cause for fact in facts],
        [fact.detected_by for fact in facts],
        [json.dumps(fact.missing_scopes) for fact in facts],
        [json.dumps([account.model_dump(mode="json") for account in fact.token.accounts]) for fact in facts],
        [fact.token.accounts_total for fact in facts],
    )
    return [
        Changed(
            row["token_id"],
            TokenKind(row["kind"]),
            row["workspace_id"],
            TokenStatus(row["status"]),
            row["since"],
            row["expires_at"],
        )
        for row in rows
    ]


async def put_pages(db: Db, pages: Sequence[TokenAccountsV1]) -> None:
    """Store pages of large grants' accounts; what is not newer than the page that is held changes nothing."""
    await db.executemany(
        """INSERT INTO token_account_page (token_id, page, version, accounts) VALUES ($1, $2, $3, $4)
           ON CONFLICT (token_id, page) DO UPDATE SET version = excluded.version, accounts = excluded.accounts
            WHERE excluded.version > token_account_page.version""",
        [
            (
                page.token.token_id,
                page.page,
                page.token.version,
                [account.model_dump(mode="json") for account in page.token.accounts],
            )
            for page in sorted(pages, key=lambda page: (page.token.token_id, page.page))
        ],
    )


async def purge(db: Db, token_ids: Sequence[UUID], now: datetime) -> int:
    """Forget purged tokens: what they were goes, their version stays, so that a late event stays late."""
    status = await db.execute(
        """UPDATE token SET purged_at = $2, accounts = '[]', missing_scopes = '[]', cause = NULL, detected_by = NULL
            WHERE token_id = ANY($1::uuid[]) AND purged_at IS NULL""",
        token_ids,
        now,
    )
    for table in ("deadline", "warning_mark", "history", "token_account_page"):
        await db.execute(f"DELETE FROM {table} WHERE token_id = ANY($1::uuid[])", token_ids)
    return int(status.split()[-1])


async def present_among(db: Db, token_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the tokens that are there and were not purged."""
    rows = await db.fetch(
        "SELECT token_id FROM token WHERE token_id = ANY($1::uuid[]) AND purged_at IS NULL", token_ids
    )
    return {row["token_id"] for row in rows}
