"""Facts that were told, and platform incidents."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from common.contracts import DetectedBy, NoticeCode, PlatformIncidentV1, RevocationCause, TokenKind
from common.postgres import Connection, Record
from notifier.core.conditions import Fact, Resolution
from notifier.core.notices import Condition
from notifier.core.tokens import Account
from notifier.store.tokens import accounts_json, accounts_of

COLUMNS = """c.condition_id, c.code, c.subject_id, c.episode, c.provider, c.kind,
c.workspace_id AS condition_workspace_id, c.owner_user_id, c.token_id, c.stage, c.expires_at, c.cause, c.detected_by,
c.accounts, c.tokens_affected, c.raised_at, c.updated_at, c.resolved_at, c.resolution, c.held_by"""


async def add(
    connection: Connection,
    condition_id: UUID,
    fact: Fact,
    *,
    held_by: UUID | None,
    people_complete: bool,
    now: datetime,
) -> bool:
    """True the first time this fact is told. False: it is known."""
    status = await connection.execute(
        """INSERT INTO condition (condition_id, code, subject_id, episode, provider, kind, workspace_id, owner_user_id,
                                  token_id, stage, expires_at, cause, detected_by, accounts, tokens_affected,
                                  raised_at, updated_at, held_by, people_complete)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18)
           ON CONFLICT (code, subject_id, episode) DO NOTHING""",
        condition_id,
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
        now,
        held_by,
        people_complete,
    )
    return status == "INSERT 0 1"


async def lock_fact(connection: Connection, fact: Fact) -> Condition | None:
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM condition c WHERE code = $1 AND subject_id = $2 AND episode = $3 FOR UPDATE",
        fact.code.value,
        fact.subject_id,
        fact.episode,
    )
    return None if row is None else condition_of(row)


async def lock_open_of_token(connection: Connection, token_id: UUID) -> list[Condition]:
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM condition c WHERE token_id = $1 AND resolved_at IS NULL
             ORDER BY condition_id FOR UPDATE""",
        token_id,
    )
    return [condition_of(row) for row in rows]


async def lock_open_of_owner(connection: Connection, code: NoticeCode, user_id: UUID) -> list[Condition]:
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM condition c WHERE code = $1 AND owner_user_id = $2 AND resolved_at IS NULL
             ORDER BY condition_id FOR UPDATE""",
        code.value,
        user_id,
    )
    return [condition_of(row) for row in rows]


async def lock_held_by(connection: Connection, incident_id: UUID) -> list[Condition]:
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM condition c WHERE held_by = $1 ORDER BY condition_id FOR UPDATE", incident_id
    )
    return [condition_of(row) for row in rows]


async def lock_incomplete(connection: Connection, workspace_id: UUID) -> list[Condition]:
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM condition c WHERE workspace_id = $1 AND NOT people_complete
             ORDER BY condition_id FOR UPDATE""",
        workspace_id,
    )
    return [condition_of(row) for row in rows]


async def set_complete(connection: Connection, condition_ids: Collection[UUID]) -> None:
    await connection.execute(
        "UPDATE condition SET people_complete = true WHERE condition_id = ANY($1::uuid[])", list(condition_ids)
    )


async def stand(connection: Connection, condition_id: UUID, stage: str, now: datetime) -> None:
    """It is true, at this stage: after a less urgent one, or again after it was over."""
    await connection.execute(
        """UPDATE condition SET stage = $2, updated_at = $3, resolved_at = NULL, resolution = NULL
            WHERE condition_id = $1""",
        condition_id,
        stage,
        now,
    )


async def set_accounts(
    connection: Connection, condition_id: UUID, accounts: Collection[Account], now: datetime
) -> None:
    await connection.execute(
        "UPDATE condition SET accounts = $2, updated_at = $3 WHERE condition_id = $1",
        condition_id,
        accounts_json(accounts),
        now,
    )


async def resolve(connection: Connection, condition_id: UUID, resolution: Resolution, now: datetime) -> bool:
    status = await connection.execute(
        """UPDATE condition SET resolved_at = $3, resolution = $2, updated_at = $3
            WHERE condition_id = $1 AND resolved_at IS NULL""",
        condition_id,
        resolution.value,
        now,
    )
    return status == "UPDATE 1"


async def hold(connection: Connection, condition_ids: Collection[UUID], incident_id: UUID) -> None:
    await connection.execute(
        "UPDATE condition SET held_by = $2 WHERE condition_id = ANY($1::uuid[])", list(condition_ids), incident_id
    )


async def release(connection: Connection, condition_ids: Collection[UUID]) -> None:
    await connection.execute(
        "UPDATE condition SET held_by = NULL WHERE condition_id = ANY($1::uuid[])", list(condition_ids)
    )


async def lock_fresh_dead(connection: Connection, provider: str, since: datetime) -> list[Condition]:
    """Open notices of dead tokens of a platform, raised lately: an incident that opens now may explain them."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM condition c
             WHERE provider = $1 AND code IN ('TOKEN_EXPIRED', 'TOKEN_REVOKED') AND resolved_at IS NULL
               AND held_by IS NULL AND raised_at >= $2
             ORDER BY condition_id FOR UPDATE""",
        provider,
        since,
    )
    return [condition_of(row) for row in rows]


async def save_incident(connection: Connection, incident: PlatformIncidentV1) -> bool:
    """Note the state of an incident; False when something newer is known."""
    status = await connection.execute(
        """INSERT INTO incident AS held (incident_id, provider, state, since, tokens_affected, version)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (incident_id) DO UPDATE SET state = $3, since = $4, tokens_affected = $5, version = $6
            WHERE held.version < $6""",
        incident.incident_id,
        incident.provider,
        incident.state.value,
        incident.since,
        incident.tokens_affected,
        incident.version,
    )
    return status == "INSERT 0 1"


async def open_incident(connection: Connection, provider: str) -> UUID | None:
    found: UUID | None = await connection.fetchval(
        "SELECT incident_id FROM incident WHERE provider = $1 AND state = 'opened' ORDER BY since DESC LIMIT 1",
        provider,
    )
    return found


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
    )
    return Condition(
        condition_id=row["condition_id"],
        fact=fact,
        raised_at=row["raised_at"],
        updated_at=row["updated_at"],
        resolved_at=row["resolved_at"],
        resolution=Resolution(row["resolution"]) if row["resolution"] else None,
        held_by=row["held_by"],
    )
