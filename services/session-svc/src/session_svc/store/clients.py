"""Service clients and their secrets' hashes."""

from collections.abc import Sequence
from datetime import datetime

from common.postgres import Db, Pool
from session_svc.core.clients import ServiceClient


async def with_secrets(pool: Pool, client_id: str) -> tuple[ServiceClient, tuple[bytes, ...]] | None:
    """Return a client and the hashes of its live secrets."""
    row = await pool.fetchrow(
        """SELECT c.client_id, c.name, c.scopes, c.disabled_at,
                  coalesce(array_agg(s.secret_hash) FILTER (WHERE s.secret_hash IS NOT NULL), '{}') AS hashes
           FROM service_clients AS c LEFT JOIN service_client_secrets AS s ON s.client_id = c.client_id
           WHERE c.client_id = $1 GROUP BY c.client_id""",
        client_id,
    )
    if row is None:
        return None
    client = ServiceClient(row["client_id"], row["name"], tuple(row["scopes"]), row["disabled_at"])
    return client, tuple(row["hashes"])


async def put(db: Db, client_id: str, name: str, scopes: Sequence[str], now: datetime) -> bool:
    """Make a client, or give it these scopes; True when it is new.

    Args:
        db: the connection or the transaction to use.
        client_id: the service client.
        name: the name that people see.
        scopes: the scopes.
        now: the present time, in UTC.

    """
    created: bool = await db.fetchval(
        """INSERT INTO service_clients (client_id, name, scopes, created_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes
           RETURNING xmax = 0""",
        client_id,
        name,
        list(scopes),
        now,
    )
    return created


async def lock_secrets(db: Db, client_id: str) -> tuple[bytes, ...]:
    """Return the hashes of a client's secrets, oldest first, with the client locked."""
    await db.execute("SELECT client_id FROM service_clients WHERE client_id = $1 FOR UPDATE", client_id)
    rows = await db.fetch(
        "SELECT secret_hash FROM service_client_secrets WHERE client_id = $1 ORDER BY created_at, secret_hash",
        client_id,
    )
    return tuple(row["secret_hash"] for row in rows)


async def add_secret(db: Db, client_id: str, secret_hash: bytes, now: datetime) -> None:
    """One more live secret.

    Args:
        db: the connection or the transaction to use.
        client_id: the service client.
        secret_hash: the digest under which the secret is looked up.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO service_client_secrets (client_id, secret_hash, created_at) VALUES ($1, $2, $3)
           ON CONFLICT DO NOTHING""",
        client_id,
        secret_hash,
        now,
    )


async def delete_secret(db: Db, client_id: str, secret_hash: bytes) -> None:
    """A secret that works no more."""
    await db.execute(
        "DELETE FROM service_client_secrets WHERE client_id = $1 AND secret_hash = $2", client_id, secret_hash
    )
