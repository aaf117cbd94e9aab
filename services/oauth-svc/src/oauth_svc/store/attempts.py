"""Attempts: what was sent to a platform, committed before it was sent, and what came back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from common.postgres import Db


async def begin(db: Db, items: Sequence[tuple[UUID, int, int, timedelta]]) -> set[UUID]:
    """Write the attempt rows of calls that are made next: (connection, epoch, generation, the call's longest time).

    Returns those that may be made: whose lease is still held, and for longer than the call can take. Otherwise the
    next holder would find the attempt open while its call is under way.
    """
    rows = await db.fetch(
        """INSERT INTO refresh_attempt (connection_id, epoch, generation, state)
           SELECT s.connection_id, s.epoch, n.generation, 'sent'
           FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::interval[])
             AS n(connection_id, epoch, generation, longest)
           JOIN schedule s ON s.connection_id = n.connection_id AND s.epoch = n.epoch
             AND s.leased_until > now() + n.longest
           ON CONFLICT DO NOTHING RETURNING connection_id""",
        [item[0] for item in items],
        [item[1] for item in items],
        [item[2] for item in items],
        [item[3] for item in items],
    )
    return {row["connection_id"] for row in rows}


Kept: TypeAlias = tuple[UUID, int, UUID, bytes]
"""An answer, sealed: (connection, epoch of its attempt, key, ciphertext)."""


async def keep(db: Db, items: Sequence[Kept]) -> set[UUID]:
    """Keep answers before anything else is done with them; of which connections.

    Not fenced: a holder that lost its lease may own the only valid refresh token. The others were settled by somebody
    else in the meantime: they need `keep_late`.
    """
    rows = await db.fetch(
        """UPDATE refresh_attempt r SET state = 'answered', key_id = n.key_id, pending = n.pending
           FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[]) AS n(connection_id, epoch, key_id, pending)
           WHERE r.connection_id = n.connection_id AND r.epoch = n.epoch AND r.state = 'sent'
           RETURNING r.connection_id""",
        [item[0] for item in items],
        [item[1] for item in items],
        [item[2] for item in items],
        [item[3] for item in items],
    )
    return {row["connection_id"] for row in rows}


async def keep_late(db: Db, item: Kept) -> bool:
    """Keep an answer that could not be kept when it came, and make its connection due, to be promoted.

    Meanwhile the lease may have passed on, and the next holder may have found that nobody knows the outcome. Here it
    is. False if a new consent, or anything else, has replaced the credential since: then nothing happens. In a
    transaction, which locks in the order of a settlement.
    """
    connection_id, epoch, key_id, blob = item
    await db.execute("SELECT FROM schedule WHERE connection_id = $1 FOR UPDATE", connection_id)
    kept = await db.fetchval(
        """UPDATE refresh_attempt r SET state = 'answered', key_id = $3, pending = $4, settled_at = NULL, outcome = NULL
           FROM credential k
           WHERE r.connection_id = $1 AND r.epoch = $2 AND r.state IN ('sent', 'unknown')
             AND k.connection_id = r.connection_id AND k.generation = r.generation
           RETURNING true""",
        connection_id,
        epoch,
        key_id,
        blob,
    )
    if kept:
        await db.execute(
            """UPDATE schedule s SET refresh_at = least(s.refresh_at, now()) FROM connection c
               WHERE s.connection_id = $1 AND c.connection_id = $1
                 AND c.status IN ('active', 'expiring', 'degraded')""",
            connection_id,
        )
    return bool(kept)


async def settle(db: Db, items: Sequence[tuple[UUID, int, str, str]]) -> None:
    """Close attempts: (connection, epoch, state, outcome). The sealed answer goes; it lives in the credential now.

    One that was answered is not called unknown: its answer came late, and is still to be promoted.
    """
    if not items:
        return
    await db.execute(
        """UPDATE refresh_attempt r SET state = n.state, outcome = n.outcome, settled_at = now(),
             pending = NULL, key_id = NULL
           FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS n(connection_id, epoch, state, outcome)
           WHERE r.connection_id = n.connection_id AND r.epoch = n.epoch
             AND (r.state = 'sent' OR (r.state = 'answered' AND n.state <> 'unknown'))""",
        [item[0] for item in items],
        [item[1] for item in items],
        [item[2] for item in items],
        [item[3] for item in items],
    )


async def proven(db: Db, credentials: Sequence[tuple[UUID, int]]) -> set[UUID]:
    """Return which of these credentials, (connection, generation), a platform has answered and not replaced.

    The generation rises with every answer that replaces what was presented, so a credential that was promoted from and
    is still of its generation was presented, answered, and kept.
    """
    rows = await db.fetch(
        """SELECT DISTINCT r.connection_id FROM refresh_attempt r
           JOIN unnest($1::uuid[], $2::bigint[]) AS n(connection_id, generation) USING (connection_id, generation)
           WHERE r.state = 'promoted'""",
        [connection_id for connection_id, _ in credentials],
        [generation for _, generation in credentials],
    )
    return {row["connection_id"] for row in rows}


async def supersede(db: Db, connection_ids: Sequence[UUID]) -> None:
    """A new consent makes every open attempt of its connection meaningless."""
    await db.execute(
        """UPDATE refresh_attempt SET state = 'superseded', settled_at = now(), pending = NULL, key_id = NULL
           WHERE connection_id = ANY($1) AND state IN ('sent', 'answered')""",
        list(connection_ids),
    )


async def forget(db: Db, before: datetime, limit: int) -> int:
    status = await db.execute(
        """DELETE FROM refresh_attempt WHERE (connection_id, epoch) IN (
             SELECT connection_id, epoch FROM refresh_attempt WHERE settled_at < $1 LIMIT $2)""",
        before,
        limit,
    )
    return int(status.split()[-1])
