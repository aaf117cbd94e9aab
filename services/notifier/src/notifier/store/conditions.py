"""Facts that were told, and platform incidents."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts import DetectedBy, NoticeCode, PlatformIncidentV1, RevocationCause, TokenKind, Verdict
from common.postgres import Db, Record
from notifier.core.conditions import Fact, Resolution
from notifier.core.notices import Condition
from notifier.store.tokens import accounts_json, accounts_of

COLUMNS = """c.condition_id, c.code, c.subject_id, c.episode, c.provider, c.kind,
c.workspace_id AS condition_workspace_id, c.owner_user_id, c.token_id, c.stage, c.expires_at, c.cause, c.detected_by,
c.accounts, c.tokens_affected, c.raised_at, c.updated_at, c.resolved_at, c.resolution, c.held_by, c.people_complete,
c.verdict"""


async def save(db: Db, found: Collection[Condition]) -> None:
    """Write conditions as they are from now on, new ones included. Those that exist are locked by the caller."""
    await db.executemany(
        """INSERT INTO condition (condition_id, code, subject_id, episode, provider, kind, workspace_id, owner_user_id,
                                  token_id, stage, expires_at, cause, detected_by, accounts, tokens_affected,
                                  raised_at, updated_at, resolved_at, resolution, held_by, people_complete, verdict)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
           ON CONFLICT (condition_id) DO UPDATE
              SET stage = $10, accounts = $14, updated_at = $17, resolved_at = $18, resolution = $19, held_by = $20,
                  people_complete = $21""",
        [_row(condition) for condition in found],
    )


async def lock_of_token(db: Db, token_id: UUID, episodes: Collection[int]) -> list[Condition]:
    """Return the open ones of a token, and those of these episodes, open or not."""
    return await _lock(
        db, "token_id = $1 AND (resolved_at IS NULL OR episode = ANY($2::bigint[]))", token_id, list(episodes)
    )


async def lock_fact(db: Db, fact: Fact) -> list[Condition]:
    """Return the condition of a fact, open or not, if it was told."""
    where = "code = $1 AND subject_id = $2 AND episode = $3"
    return await _lock(db, where, fact.code.value, fact.subject_id, fact.episode)


async def lock_open_of_owner(db: Db, code: NoticeCode, user_id: UUID) -> list[Condition]:
    return await _lock(db, "code = $1 AND owner_user_id = $2 AND resolved_at IS NULL", code.value, user_id)


async def lock_incomplete(db: Db, workspace_id: UUID) -> list[Condition]:
    return await _lock(db, "workspace_id = $1 AND NOT people_complete", workspace_id)


async def lock_of_incident(db: Db, incident_id: UUID) -> list[Condition]:
    """Return the incident's own, and those that it holds."""
    return await _lock(
        db, "(code = 'PLATFORM_INCIDENT' AND subject_id = $1 AND episode = 0) OR held_by = $1", incident_id
    )


async def lock_fresh_dead(db: Db, provider: str, since: datetime) -> list[Condition]:
    """Return open ones of dead tokens of a platform, raised lately: an incident that opens now may explain them."""
    return await _lock(
        db,
        "provider = $1 AND code IN ('TOKEN_EXPIRED', 'TOKEN_REVOKED') AND resolved_at IS NULL AND held_by IS NULL "
        "AND raised_at >= $2",
        provider,
        since,
    )


async def of_notices(db: Db, notice_ids: Collection[UUID]) -> list[Condition]:
    """Return those of the notices, as they are now."""
    rows = await db.fetch(
        f"""SELECT {COLUMNS} FROM condition c
             WHERE condition_id IN (SELECT condition_id FROM notice WHERE notice_id = ANY($1::uuid[]))""",
        list(notice_ids),
    )
    return [condition_of(row) for row in rows]


async def _lock(db: Db, where: str, *values: object) -> list[Condition]:
    rows = await db.fetch(f"SELECT {COLUMNS} FROM condition c WHERE {where} ORDER BY condition_id FOR UPDATE", *values)
    return [condition_of(row) for row in rows]


async def rules_told_until(db: Db, token_id: UUID) -> datetime | None:
    """Return until when a notice of the token that is over, and that no incident held, spoke of its rules."""
    found: datetime | None = await db.fetchval(
        """SELECT max(resolved_at) FROM condition
            WHERE token_id = $1 AND code IN ('TOKEN_EXPIRED', 'TOKEN_REVOKED', 'ACCOUNT_ACCESS_LOST')
              AND held_by IS NULL""",
        token_id,
    )
    return found


async def save_incident(db: Db, incident: PlatformIncidentV1) -> None:
    await db.execute(
        """INSERT INTO incident (incident_id, provider, state, since, tokens_affected, version)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (incident_id) DO UPDATE SET state = $3, since = $4, tokens_affected = $5, version = $6""",
        incident.incident_id,
        incident.provider,
        incident.state.value,
        incident.since,
        incident.tokens_affected,
        incident.version,
    )


async def incident_version(db: Db, incident_id: UUID) -> int:
    """Return the version that is known of an incident; 0 for none."""
    found: int | None = await db.fetchval("SELECT version FROM incident WHERE incident_id = $1", incident_id)
    return found or 0


async def open_incident(db: Db, provider: str) -> UUID | None:
    found: UUID | None = await db.fetchval(
        "SELECT incident_id FROM incident WHERE provider = $1 AND state = 'opened' ORDER BY since DESC LIMIT 1",
        provider,
    )
    return found


def _row(condition: Condition) -> tuple[Any, ...]:
    fact = condition.fact
    return (
        condition.condition_id,
        fact.code.value,
        fact.subject_id,
        fact.episode,
        fact.provider,
        fact.kind.value,
        fact.workspace_id,
        fact.owner_user_id,
        fact.token_id,
        fact.stage,
        fact.expires_at,
        fact.cause.value if fact.cause else None,
        fact.detected_by.value if fact.detected_by else None,
        accounts_json(fact.accounts),
        fact.tokens_affected,
        condition.raised_at,
        condition.updated_at,
        condition.resolved_at,
        condition.resolution.value if condition.resolution else None,
        condition.held_by,
        condition.people_complete,
        fact.verdict.value if fact.verdict else None,
    )


def condition_of(row: Record) -> Condition:
    fact = Fact(
        code=NoticeCode(row["code"]),
        subject_id=row["subject_id"],
        episode=row["episode"],
        provider=row["provider"],
        kind=TokenKind(row["kind"]),
        workspace_id=row["condition_workspace_id"],
        owner_user_id=row["owner_user_id"],
        token_id=row["token_id"],
        stage=row["stage"],
        expires_at=row["expires_at"],
        cause=RevocationCause(row["cause"]) if row["cause"] else None,
        detected_by=DetectedBy(row["detected_by"]) if row["detected_by"] else None,
        accounts=accounts_of(row["accounts"]),
        tokens_affected=row["tokens_affected"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
    )
    return Condition(
        condition_id=row["condition_id"],
        fact=fact,
        raised_at=row["raised_at"],
        updated_at=row["updated_at"],
        resolved_at=row["resolved_at"],
        resolution=Resolution(row["resolution"]) if row["resolution"] else None,
        held_by=row["held_by"],
        people_complete=row["people_complete"],
    )
