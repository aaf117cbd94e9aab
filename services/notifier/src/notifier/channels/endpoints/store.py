"""The endpoints of workspaces' channels."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import NoticeChannel
from common.postgres import Db, Record
from notifier.channels.endpoints.model import Endpoint, EndpointState

_COLUMNS = """endpoint_id, workspace_id, channel, version, config, sealed, state, reason, disablings, failing_since,
updated_by, updated_at"""


async def living(db: Db, channel: NoticeChannel, workspace_ids: Collection[UUID]) -> list[Endpoint]:
    """Return the endpoints of these workspaces that messages are sent to."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM endpoint WHERE channel = $1 AND state = 'on' AND workspace_id = ANY($2::uuid[])",
        channel.value,
        list(workspace_ids),
    )
    return [_endpoint(row) for row in rows]


async def of_workspace(db: Db, workspace_id: UUID) -> list[Endpoint]:
    rows = await db.fetch(f"SELECT {_COLUMNS} FROM endpoint WHERE workspace_id = $1", workspace_id)
    return [_endpoint(row) for row in rows]


async def lock(db: Db, workspace_id: UUID, channel: NoticeChannel) -> Endpoint | None:
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM endpoint WHERE workspace_id = $1 AND channel = $2 FOR UPDATE",
        workspace_id,
        channel.value,
    )
    return None if row is None else _endpoint(row)


async def save(db: Db, endpoint: Endpoint) -> bool:
    """Put it in the place of the version before it; False when somebody else was first."""
    status = await db.execute(
        """INSERT INTO endpoint AS held (endpoint_id, workspace_id, channel, version, config, sealed, updated_by,
                                         updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (workspace_id, channel) DO UPDATE
              SET version = $4, config = $5, sealed = $6, state = 'on', reason = '', failing_since = NULL,
                  updated_by = $7, updated_at = $8
            WHERE held.endpoint_id = $1 AND held.version = $4 - 1""",
        endpoint.endpoint_id,
        endpoint.workspace_id,
        endpoint.channel.value,
        endpoint.version,
        endpoint.config,
        endpoint.sealed,
        endpoint.updated_by,
        endpoint.updated_at,
    )
    return status == "INSERT 0 1"


async def remove(db: Db, endpoint_id: UUID) -> None:
    await db.execute("DELETE FROM endpoint WHERE endpoint_id = $1", endpoint_id)


async def disable(db: Db, endpoint: Endpoint, reason: str) -> Endpoint | None:
    """Send nothing more there; the endpoint as it is then, or None when it was disabled or changed meanwhile."""
    row = await db.fetchrow(
        f"""UPDATE endpoint SET state = 'disabled', reason = $3, disablings = disablings + 1
             WHERE endpoint_id = $1 AND version = $2 AND state = 'on' RETURNING {_COLUMNS}""",
        endpoint.endpoint_id,
        endpoint.version,
        reason,
    )
    return None if row is None else _endpoint(row)


async def works(db: Db, endpoint: Endpoint) -> None:
    """A message was taken there. One that was on its way when the endpoint was disabled changes nothing."""
    await db.execute(
        """UPDATE endpoint SET failing_since = NULL WHERE endpoint_id = $1 AND version = $2 AND state = 'on'""",
        endpoint.endpoint_id,
        endpoint.version,
    )


async def enable(db: Db, endpoint: Endpoint) -> None:
    """A test message was taken there: it is on, whatever it was."""
    await db.execute(
        """UPDATE endpoint SET failing_since = NULL, state = 'on', reason = ''
            WHERE endpoint_id = $1 AND version = $2""",
        endpoint.endpoint_id,
        endpoint.version,
    )


async def fails(db: Db, endpoint: Endpoint, now: datetime) -> datetime | None:
    """A message was not taken there; since when that is so. None when the endpoint changed meanwhile."""
    since: datetime | None = await db.fetchval(
        """UPDATE endpoint SET failing_since = coalesce(failing_since, $3)
            WHERE endpoint_id = $1 AND version = $2 AND state = 'on' RETURNING failing_since""",
        endpoint.endpoint_id,
        endpoint.version,
        now,
    )
    return since


async def take_test(db: Db, endpoint: Endpoint, now: datetime, pause: timedelta) -> bool:
    """Begin a test; False when the last one was less than `pause` ago.

    Args:
        db: the connection or the transaction to use.
        endpoint: the workspace's endpoint.
        now: the present time, in UTC.
        pause: the shortest time between two tests.

    """
    status = await db.execute(
        """UPDATE endpoint SET tested_at = $2::timestamptz
            WHERE endpoint_id = $1 AND (tested_at IS NULL OR tested_at <= $2::timestamptz - $3::interval)""",
        endpoint.endpoint_id,
        now,
        pause,
    )
    return status == "UPDATE 1"


def _endpoint(row: Record) -> Endpoint:
    return Endpoint(
        endpoint_id=row["endpoint_id"],
        workspace_id=row["workspace_id"],
        channel=NoticeChannel(row["channel"]),
        version=row["version"],
        config=row["config"],
        sealed=row["sealed"],
        state=EndpointState(row["state"]),
        reason=row["reason"],
        disablings=row["disablings"],
        failing_since=row["failing_since"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )
