"""Requests for the deletion of a person's data, each by the code that the person was given."""

from dataclasses import dataclass
from datetime import datetime

from common.postgres import Db, Pool


@dataclass(frozen=True, slots=True)
class DeletionRow:
    """One request. `kept` counts the credentials that it covers and that are not erased yet."""

    received_at: datetime
    connections: int
    kept: int


async def add(db: Db, code: str, provider: str, subject: str | None, now: datetime) -> None:
    """Remember a request with all connections of the person, dead ones too; one that came before stays as it was.

    Args:
        db: in the transaction of the webhook.
        code: what the person is given.
        provider: the platform that sent it.
        subject: the person, as the platform names them.
        now: when it arrived.

    """
    await db.execute(
        """INSERT INTO deletion_request (code, provider, received_at, connections)
           VALUES ($1, $2, $3, ARRAY(SELECT connection_id FROM connection WHERE provider = $2 AND subject = $4))
           ON CONFLICT DO NOTHING""",
        code,
        provider,
        now,
        subject,
    )


async def get(db: Db | Pool, provider: str, code: str) -> DeletionRow | None:
    row = await db.fetchrow(
        """SELECT received_at, cardinality(connections) AS connections,
             (SELECT count(*) FROM credential c JOIN connection USING (connection_id)
              WHERE connection_id = ANY(r.connections) AND authorized_at <= r.received_at) AS kept
           FROM deletion_request r WHERE provider = $1 AND code = $2""",
        provider,
        code,
    )
    return None if row is None else DeletionRow(row["received_at"], row["connections"], row["kept"])
