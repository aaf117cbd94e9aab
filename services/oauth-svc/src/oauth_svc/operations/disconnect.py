"""Ending a connection here, and then at the platform, with its last sibling only."""

from uuid import UUID

from common.contracts import DetectedBy, RevocationCause
from common.crypto import UnsealableError
from common.postgres import connection, transaction
from common.telemetry.logs import get_logger
from oauth_svc import store
from oauth_svc.core.changes import Revoked
from oauth_svc.core.connection import Connection
from oauth_svc.core.errors import UnknownConnectionError
from oauth_svc.core.flow import RevokeScope
from oauth_svc.core.roles import WorkspaceCaller, must_manage
from oauth_svc.operations import tokens
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.status import SweepStatus
from oauth_svc.providers.base import PlatformError

_log = get_logger(__name__)

REVOKE_BATCH = 20


async def disconnect(deps: Deps, caller: WorkspaceCaller, connection_id: UUID) -> Connection:
    """End it here at once; the platform is told by the sweep, so its outage does not keep anybody connected."""
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, [connection_id])
        connection = locked.get(connection_id)
        if connection is None or connection.workspace_id != caller.workspace_id:
            raise UnknownConnectionError
        must_manage(connection.kind, caller.role)
        after = await tokens.change(
            db, locked, {connection_id: Revoked(RevocationCause.DISCONNECTED, DetectedBy.USER)}, now
        )
        if connection.status.alive:
            await store.connections.set_remote_revoke(db, connection_id, await _remote(deps, db, connection))
        else:
            await store.credentials.forget(db, connection_id)
    deps.committed()
    return after[connection_id]


async def sweep_remote(deps: Deps) -> SweepStatus:
    """Tell the platforms what was disconnected, then forget the credentials."""
    async with connection(deps.pool) as db:
        due = await store.connections.due_remote_revokes(db, REVOKE_BATCH)
    for connection_id, _ in due:
        await _revoke_remotely(deps, connection_id)
    return SweepStatus(len(due), more=len(due) == REVOKE_BATCH)


async def _remote(deps: Deps, db: store.Db, connection: Connection) -> str:
    """Whether the platform is to be told: not while a sibling would be ended with it, not where it has no such call."""
    profile = deps.providers[connection.provider].profile
    if profile.revoke_scope is RevokeScope.NONE:
        await store.credentials.forget(db, connection.connection_id)
        return "by_hand"
    if profile.revoke_scope is RevokeScope.SUBJECT:
        family = [p.profile.provider for p in deps.providers if p.profile.subject_family == profile.subject_family]
        if await store.connections.has_sibling(db, family, connection.subject, connection.connection_id):
            await store.credentials.forget(db, connection.connection_id)
            return "shared"
    return "due"


async def _revoke_remotely(deps: Deps, connection_id: UUID) -> None:
    async with transaction(deps.pool) as db:
        connection = await store.connections.read(db, connection_id)
        credential = await store.credentials.get(db, connection_id)
        if credential is not None:
            await deps.vault.ready(db, deps.clock.now(), key_ids=[credential.key_id])
    if connection is None:
        return
    if credential is not None:
        try:
            await deps.providers[connection.provider].revoke(deps.vault.open_credential(credential))
        except PlatformError as error:
            if not error.failure.verdict.only_a_person_helps:
                _log.warning("remote_revoke_failed", provider=connection.provider, failure_code=error.failure.code)
                return
        except UnsealableError:
            _log.error("credential_unreadable", provider=connection.provider)
    async with transaction(deps.pool) as db:
        locked = await store.connections.lock(db, [connection_id])
        still = locked.get(connection_id)
        if still is not None and not still.status.alive:
            await store.credentials.forget(db, connection_id)
            await store.connections.set_remote_revoke(db, connection_id, "done")
