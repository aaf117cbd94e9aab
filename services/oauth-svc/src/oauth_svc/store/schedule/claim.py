"""The schedule: what is due, and who holds it. Leases are on the database's clock, with an epoch.

A claim is one statement: due rows are chosen in turn by workspace and leased. The window bounds what a claim costs to
what is due. The attempt row (`attempts`) is a statement of its own, committed right before the call: a claim that still
waits for its turn when the process is killed was certainly not presented.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.postgres import Db, Record
from oauth_svc.store.credentials import SealedCredential

WINDOW_PER_CLAIM = 8
"""A claim looks at this many times the rows that it wants: wide enough to be fair, narrow enough to be cheap."""


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt without a settlement: a killed process's, or one whose answer waits for promotion."""

    epoch: int
    generation: int
    state: str
    started_at: datetime
    key_id: UUID | None
    pending: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One leased connection, ready to be refreshed (or recovered, if an attempt is open)."""

    connection_id: UUID
    workspace_id: UUID
    provider: str
    subject: str
    epoch: int
    attempt: int
    unknown_count: int
    credential: SealedCredential
    open_attempt: OpenAttempt | None


_CHOOSE_DUE = f"""
chosen AS MATERIALIZED (
  SELECT s.connection_id FROM schedule s
  JOIN (
    SELECT t.connection_id FROM (
      SELECT w.connection_id, w.deadline,
             row_number() OVER (PARTITION BY w.workspace_id ORDER BY w.deadline NULLS LAST) AS turn
      FROM (
        SELECT connection_id, workspace_id, deadline FROM schedule
        WHERE provider = $1 AND refresh_at <= $2 AND leased_until <= now()
          AND workspace_id <> ALL ($5::uuid[])
        ORDER BY refresh_at LIMIT $3 * {WINDOW_PER_CLAIM}
      ) w
    ) t ORDER BY t.turn, t.deadline NULLS LAST LIMIT $3
  ) fair USING (connection_id)
  WHERE s.refresh_at <= $2 AND s.leased_until <= now()
  FOR UPDATE OF s SKIP LOCKED
)"""

_CHOOSE_ONE = """
chosen AS MATERIALIZED (
  SELECT s.connection_id FROM schedule s JOIN connection c USING (connection_id)
  WHERE s.connection_id = $1 AND s.leased_until <= now() AND c.status IN ('active', 'expiring', 'degraded')
  FOR UPDATE OF s SKIP LOCKED
)"""

_CLAIM = """
WITH {choose},
claimed AS (
  UPDATE schedule s SET epoch = s.epoch + 1, leased_until = now() + {lease}
  FROM chosen WHERE s.connection_id = chosen.connection_id
  RETURNING s.connection_id, s.provider, s.epoch, s.attempt, s.unknown_count
),
loaded AS (
  SELECT cl.*, c.workspace_id, c.subject, k.key_id, k.version, k.generation, k.sealed, k.issued_at,
         a.epoch AS open_epoch, a.generation AS open_generation, a.state AS open_state,
         a.started_at AS open_started_at, a.key_id AS open_key_id, a.pending AS open_pending
  FROM claimed cl
  JOIN connection c USING (connection_id)
  JOIN credential k USING (connection_id)
  LEFT JOIN LATERAL (
    SELECT epoch, generation, state, started_at, key_id, pending FROM refresh_attempt r
    WHERE r.connection_id = cl.connection_id AND r.state IN ('sent', 'answered')
    ORDER BY r.epoch DESC LIMIT 1
  ) a ON true
)
SELECT * FROM loaded
"""

_CLAIM_DUE = _CLAIM.format(choose=_CHOOSE_DUE, lease="$4::interval")
_CLAIM_ONE = _CLAIM.format(choose=_CHOOSE_ONE, lease="$2::interval")


async def claim_due(
    db: Db,
    provider: str,
    now: datetime,
    *,
    limit: int,
    lease: timedelta,
    exclude: Sequence[UUID] = (),
) -> list[Claim]:
    """Lease up to `limit` due connections of a provider, in turn by workspace, the earliest end first.

    `exclude` names workspaces that had their share.

    Args:
        db: the connection or the transaction to use.
        provider: the provider's id, such as `google-ads`.
        now: the present time, in UTC.
        limit: how many are taken at most.
        lease: how long nobody else takes them.
        exclude: connections that are left out.

    """
    rows = await db.fetch(_CLAIM_DUE, provider, now, limit, lease, list(exclude))
    return [_claim_of(row) for row in rows]


async def claim_one(db: Db, connection_id: UUID, *, lease: timedelta) -> Claim | None:
    """Lease one living connection whatever its schedule says; None while somebody else holds it."""
    row = await db.fetchrow(_CLAIM_ONE, connection_id, lease)
    return _claim_of(row) if row is not None else None


async def providers_due(db: Db, providers: Sequence[str], now: datetime) -> list[str]:
    """Return which of these providers have a refresh to claim; an idle poll costs one index look-up for each."""
    rows = await db.fetch(
        """SELECT p.provider FROM unnest($1::text[]) AS p(provider)
           WHERE EXISTS (SELECT 1 FROM schedule s WHERE s.provider = p.provider AND s.refresh_at <= $2
                           AND s.leased_until <= now())""",
        list(providers),
        now,
    )
    return [row["provider"] for row in rows]


def _claim_of(row: Record) -> Claim:
    opened = row["open_epoch"]
    return Claim(
        connection_id=row["connection_id"],
        workspace_id=row["workspace_id"],
        provider=row["provider"],
        subject=row["subject"],
        epoch=row["epoch"],
        attempt=row["attempt"],
        unknown_count=row["unknown_count"],
        credential=SealedCredential(
            row["connection_id"],
            row["workspace_id"],
            row["key_id"],
            row["version"],
            row["generation"],
            row["sealed"],
            row["issued_at"],
        ),
        open_attempt=None
        if opened is None
        else OpenAttempt(
            opened,
            row["open_generation"],
            row["open_state"],
            row["open_started_at"],
            row["open_key_id"],
            row["open_pending"],
        ),
    )
