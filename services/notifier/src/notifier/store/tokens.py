"""Our copy of the tokens, and what dead ones took with them."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts import (
    DataGapClosedV1,
    DetectedBy,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenKind,
    TokenStatus,
)
from common.postgres import Db, Record
from common.text import clean
from notifier.core.plans import PausedRule
from notifier.core.rendering import ShownGap
from notifier.core.tokens import Token, TokenAccount

_COLUMNS = """token_id, kind, provider, workspace_id, owner_user_id, version, status, expires_at, cause, detected_by,
accounts, outage"""


async def lock(db: Db, token_id: UUID) -> None:
    """One event of a token at a time, over all topics and replicas, until the transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(token_id))


async def get(db: Db, token_id: UUID) -> Token | None:
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM token WHERE token_id = $1", token_id)
    return None if row is None else token_of(row)


async def get_many(db: Db, token_ids: Collection[UUID]) -> dict[UUID, Token]:
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM token WHERE token_id = ANY($1::uuid[])", list(token_ids))
    return {row["token_id"]: token_of(row) for row in rows}


async def save(db: Db, token: Token, now: datetime) -> None:
    await db.execute(
        """INSERT INTO token (token_id, kind, provider, workspace_id, owner_user_id, version, status, expires_at,
                              cause, detected_by, accounts, outage, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
           ON CONFLICT (token_id) DO UPDATE
              SET kind = $2, provider = $3, workspace_id = $4, owner_user_id = $5, version = $6, status = $7,
                  expires_at = $8, cause = $9, detected_by = $10, accounts = $11, outage = $12, updated_at = $13""",
        token.token_id,
        token.kind.value,
        token.provider,
        token.workspace_id,
        token.owner_user_id,
        token.version,
        token.status.value,
        token.expires_at,
        token.cause.value if token.cause else None,
        token.detected_by.value if token.detected_by else None,
        accounts_json(token.accounts),
        token.outage,
        now,
    )


async def makers_by_workspace(db: Db, provider: str, workspace_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Return who made the living connections to a platform, per workspace; of those workspaces, or of all."""
    rows = await db.fetch(
        """SELECT workspace_id, array_agg(DISTINCT owner_user_id) AS makers FROM token
            WHERE provider = $1 AND status IN ('active', 'expiring', 'degraded')
              AND kind IN ('platform_oauth', 'integration')
              AND (cardinality($2::uuid[]) = 0 OR workspace_id = ANY($2::uuid[]))
            GROUP BY workspace_id""",
        provider,
        list(workspace_ids),
    )
    return {row["workspace_id"]: frozenset(row["makers"]) for row in rows}


async def save_rule(db: Db, rule: RulePausedV1 | RuleResumedV1) -> None:
    await db.execute(
        """INSERT INTO paused_rule (rule_id, token_id, name, paused, version, paused_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (rule_id) DO UPDATE SET token_id = $2, name = $3, paused = $4, version = $5, paused_at = $6""",
        rule.rule_id,
        rule.token_id,
        clean(rule.rule_name),
        isinstance(rule, RulePausedV1),
        rule.version,
        rule.auto_paused_at,
    )


async def rule_version(db: Db, rule_id: UUID) -> int:
    """Return the version that is known of a rule, which another token may have now; 0 for none."""
    found: int | None = await db.fetchval("SELECT version FROM paused_rule WHERE rule_id = $1 FOR UPDATE", rule_id)
    return found or 0


async def rules_that_stand_still(db: Db, token_id: UUID) -> tuple[PausedRule, ...]:
    rows = await db.fetch("SELECT rule_id, paused_at FROM paused_rule WHERE token_id = $1 AND paused", token_id)
    return tuple(PausedRule(row["rule_id"], row["paused_at"]) for row in rows)


async def paused_rules(db: Db, token_ids: Collection[UUID]) -> dict[UUID, int]:
    rows = await db.fetch(
        "SELECT token_id, count(*) AS rules FROM paused_rule WHERE paused AND token_id = ANY($1::uuid[]) GROUP BY 1",
        list(token_ids),
    )
    return {row["token_id"]: row["rules"] for row in rows}


async def save_gap(db: Db, condition_id: UUID, gap: DataGapClosedV1) -> None:
    await db.execute(
        """INSERT INTO data_gap (gap_id, condition_id, account_id, account_name, from_at, to_at)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING""",
        gap.gap_id,
        condition_id,
        gap.account_id,
        clean(gap.account_name),
        gap.from_,
        gap.to,
    )


async def gaps_of_tokens(db: Db, token_ids: Collection[UUID]) -> dict[UUID, tuple[ShownGap, ...]]:
    """Return the gaps of each token, the latest first."""
    rows = await db.fetch(
        """SELECT c.token_id, g.account_name, g.from_at, g.to_at
             FROM data_gap g JOIN condition c USING (condition_id)
            WHERE c.token_id = ANY($1::uuid[]) ORDER BY g.to_at DESC, g.account_name""",
        list(token_ids),
    )
    return _by_key(rows, "token_id")


async def gaps_of_conditions(db: Db, condition_ids: Collection[UUID]) -> dict[UUID, tuple[ShownGap, ...]]:
    rows = await db.fetch(
        """SELECT condition_id, account_name, from_at, to_at FROM data_gap
            WHERE condition_id = ANY($1::uuid[]) ORDER BY account_name, from_at""",
        list(condition_ids),
    )
    return _by_key(rows, "condition_id")


def token_of(row: Record, prefix: str = "") -> Token:
    """Return the copy in a row whose columns may carry a prefix."""

    def column(name: str) -> Any:
        return row[prefix + name]

    return Token(
        token_id=column("token_id"),
        kind=TokenKind(column("kind")),
        provider=column("provider"),
        workspace_id=column("workspace_id"),
        owner_user_id=column("owner_user_id"),
        version=column("version"),
        status=TokenStatus(column("status")),
        expires_at=column("expires_at"),
        cause=RevocationCause(column("cause")) if column("cause") else None,
        detected_by=DetectedBy(column("detected_by")) if column("detected_by") else None,
        accounts=accounts_of(column("accounts")),
        outage=column("outage"),
    )


def accounts_json(accounts: Collection[TokenAccount]) -> list[dict[str, str]]:
    return [
        {"account_id": str(account.account_id), "external_id": account.external_id, "name": account.name}
        for account in accounts
    ]


def accounts_of(stored: list[dict[str, str]]) -> tuple[TokenAccount, ...]:
    return tuple(TokenAccount(UUID(item["account_id"]), item["external_id"], item["name"]) for item in stored)


def _by_key(rows: list[Record], key: str) -> dict[UUID, tuple[ShownGap, ...]]:
    found: defaultdict[UUID, list[ShownGap]] = defaultdict(list)
    for row in rows:
        found[row[key]].append(ShownGap(row["account_name"], row["from_at"], row["to_at"]))
    return {owner: tuple(gaps) for owner, gaps in found.items()}
