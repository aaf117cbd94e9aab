"""Reading the inventory. Whose tokens a caller may see is part of every statement, not of the code around it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import AccountRef, DetectedBy, RevocationCause, TokenKind, TokenStatus
from common.postgres import Pool, Record, translate_errors
from expiry_watcher.core.tracked import TokenFilters, TokenScope, TrackedToken

_COLUMNS = """token_id, kind, provider, workspace_id, owner_user_id, version, status, since, expires_at,
 access_expires_at, cause, detected_by, missing_scopes, accounts, accounts_total"""

# $1: workspace (null: any, for support and unfiltered look-ups), $2: the person whose personal tokens may be seen
# (null: everybody's). Sessions and Telegram links are personal.
_VISIBLE = """purged_at IS NULL AND ($1::uuid IS NULL OR workspace_id = $1)
 AND ($2::uuid IS NULL OR owner_user_id = $2 OR kind NOT IN ('session', 'telegram_link'))"""

# A full expiry that has passed is an expiry, even before the token's owner says so.
_PRESENT = "CASE WHEN status <> 'revoked' AND expires_at <= $3::timestamptz THEN 'expired' ELSE status END"


# A large grant names its first accounts only; the others are in its pages.
_REACHES = """(accounts @> {0}
 OR token_id IN (SELECT p.token_id FROM token_account_page AS p WHERE p.accounts @> {0}))"""


async def page(
    pool: Pool, scope: TokenScope, filters: TokenFilters, *, now: datetime, after: UUID | None, limit: int
) -> list[TrackedToken]:
    """Return tokens in the order of their ids (which is the order they came into being), at most `limit`.

    Args:
        pool: the service's database.
        scope: which tokens the caller may see.
        filters: what the list is narrowed to.
        now: the present time, in UTC.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    with translate_errors():
        rows = await pool.fetch(
            f"""SELECT {_COLUMNS}, {_PRESENT} AS present FROM token
                 WHERE {_VISIBLE}
                   AND ($4::text IS NULL OR kind = $4)
                   AND ($5::text IS NULL OR provider = $5)
                   AND ($6::text IS NULL OR {_PRESENT} = $6)
                   AND ($7::jsonb IS NULL OR {_REACHES.format("$7")})
                   AND ($8::timestamptz IS NULL OR (status <> 'revoked' AND expires_at > $3 AND expires_at <= $8))
                   AND ($9::uuid[] IS NULL OR token_id = ANY($9))
                   AND ($10::uuid IS NULL OR token_id > $10)
                 ORDER BY token_id LIMIT $11""",
            scope.workspace_id,
            scope.person,
            now,
            filters.kind,
            filters.provider,
            filters.status,
            None if filters.account_id is None else [{"account_id": str(filters.account_id)}],
            filters.expires_before,
            filters.token_ids,
            after,
            limit,
        )
    return [_token(row) for row in rows]


async def one(pool: Pool, scope: TokenScope, token_id: UUID, *, now: datetime) -> TrackedToken | None:
    """Return one token, if the caller may see it.

    Args:
        pool: the service's database.
        scope: which tokens the caller may see.
        token_id: the token.
        now: the present time, in UTC.

    """
    with translate_errors():
        row = await pool.fetchrow(
            f"SELECT {_COLUMNS}, {_PRESENT} AS present FROM token WHERE {_VISIBLE} AND token_id = $4",
            scope.workspace_id,
            scope.person,
            now,
            token_id,
        )
    return None if row is None else _token(row)


async def suspects(
    pool: Pool,
    scope: TokenScope,
    *,
    ids: Sequence[UUID],
    account_id: UUID | None,
    provider: str | None,
    now: datetime,
    limit: int,
) -> list[TrackedToken]:
    """Return tokens that an error can be about: those named by id first, then the failing ones, then the others.

    With an account only the tokens that give access to it; with a provider only that provider's. Of ended sessions
    and links only the named ones: everybody has dozens.

    Args:
        pool: the service's database.
        scope: which tokens the caller may see.
        ids: ids that were named.
        account_id: the account; None for all.
        provider: the provider; None for all.
        now: the present time, in UTC.
        limit: how many are returned at most.

    """
    with translate_errors():
        rows = await pool.fetch(
            f"""SELECT {_COLUMNS}, {_PRESENT} AS present FROM token
                 WHERE {_VISIBLE}
                   AND (token_id = ANY($4::uuid[])
                        OR (($5::jsonb IS NULL OR {_REACHES.format("$5")})
                            AND ($6::text IS NULL OR provider = $6)
                            AND (kind NOT IN ('session', 'telegram_link')
                                 OR (status <> 'revoked' AND (expires_at IS NULL OR expires_at > $3)))))
                 ORDER BY token_id = ANY($4::uuid[]) DESC,
                          CASE {_PRESENT} WHEN 'revoked' THEN 0 WHEN 'expired' THEN 0 WHEN 'expiring' THEN 1
                                          WHEN 'degraded' THEN 2 ELSE 3 END,
                          since DESC, token_id
                 LIMIT $7""",
            scope.workspace_id,
            scope.person,
            now,
            ids,
            None if account_id is None else [{"account_id": str(account_id)}],
            provider,
            limit,
        )
    return [_token(row) for row in rows]


async def counts(pool: Pool, scope: TokenScope, *, now: datetime) -> dict[tuple[TokenKind, TokenStatus], int]:
    """Return how many tokens the caller can see, by kind and present status."""
    with translate_errors():
        rows = await pool.fetch(
            f"""SELECT kind, {_PRESENT} AS present, count(*) AS number FROM token
                 WHERE {_VISIBLE} GROUP BY kind, present""",
            scope.workspace_id,
            scope.person,
            now,
        )
    return {(TokenKind(row["kind"]), TokenStatus(row["present"])): row["number"] for row in rows}


def _token(row: Record) -> TrackedToken:
    return TrackedToken(
        token_id=row["token_id"],
        kind=TokenKind(row["kind"]),
        provider=row["provider"],
        workspace_id=row["workspace_id"],
        owner_user_id=row["owner_user_id"],
        version=row["version"],
        status=TokenStatus(row["present"]),
        since=row["since"],
        expires_at=row["expires_at"],
        access_expires_at=row["access_expires_at"],
        cause=None if row["cause"] is None else RevocationCause(row["cause"]),
        detected_by=None if row["detected_by"] is None else DetectedBy(row["detected_by"]),
        missing_scopes=tuple(row["missing_scopes"]),
        accounts=tuple(AccountRef.model_validate(account) for account in row["accounts"]),
        accounts_total=len(row["accounts"]) if row["accounts_total"] is None else row["accounts_total"],
    )
