"""What admins do with endpoints: set one up, change it, test it, remove it. Its secrets are sealed at rest."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts import NoticeChannel
from common.crypto import KeyEncryption, UnsealableError, associated_data
from common.postgres import Db, transaction
from common.runtime.ids import new_id
from common.telemetry import logs
from notifier.channels.endpoints import store
from notifier.channels.endpoints.model import Endpoint
from notifier.core.conditions import Resolution
from notifier.core.plans import FactFound, FactOver
from notifier.operations import telling
from notifier.operations.deps import Deps
from notifier.operations.notices import Reader

_log = logs.get_logger(__name__)

TEST_PAUSE = timedelta(seconds=5)
"""Tests of one endpoint are at least this far apart: they are calls to somebody else's system."""

Secrets = dict[str, Any]


class NoEndpointError(Exception):
    """The workspace has no such endpoint."""


class TooManyTestsError(Exception):
    """The endpoint was tested a moment ago."""


class ChangedMeanwhileError(Exception):
    """Somebody else changed the endpoint at the same moment."""


async def put(
    deps: Deps,
    vault: KeyEncryption,
    channel: NoticeChannel,
    reader: Reader,
    *,
    config: dict[str, Any],
    secrets: Secrets,
    now: datetime,
) -> Endpoint:
    """Set the workspace's endpoint up, or replace it; what waited for an older one goes to this one.

    Args:
        deps: the operations' dependencies.
        vault: seals the secrets.
        channel: the channel whose endpoint it is.
        reader: the admin who asks.
        config: what people may be shown.
        secrets: what nobody may; sealed before it touches the database.
        now: the present.

    Returns:
        The endpoint as it is stored.

    Raises:
        ChangedMeanwhileError: somebody else was first.

    """
    async with transaction(deps.pool) as db:
        before = await store.lock(db, reader.workspace_id, channel)
        endpoint_id = before.endpoint_id if before is not None else new_id()
        version = before.version + 1 if before is not None else 1
        endpoint = Endpoint(
            endpoint_id=endpoint_id,
            workspace_id=reader.workspace_id,
            channel=channel,
            version=version,
            config=config,
            sealed=await vault.wrap(json.dumps(secrets).encode(), _aad(endpoint_id, version)),
            updated_by=reader.user_id,
            updated_at=now,
        )
        if not await store.save(db, endpoint):
            raise ChangedMeanwhileError
        if before is not None:
            await _resolve(db, deps, before, Resolution.RENEWED, now)
    _log.info("endpoint_saved", channel=channel.value, workspace_id=str(reader.workspace_id), version=version)
    deps.committed()
    return endpoint


async def remove(deps: Deps, channel: NoticeChannel, workspace_id: UUID, now: datetime) -> None:
    """Forget the endpoint and its secrets.

    Args:
        deps: what the operations of the service work with.
        channel: the channel.
        workspace_id: the workspace.
        now: the present time, in UTC.

    Raises:
        NoEndpointError: there is none.

    """
    async with transaction(deps.pool) as db:
        endpoint = await store.lock(db, workspace_id, channel)
        if endpoint is None:
            raise NoEndpointError
        await store.remove(db, endpoint.endpoint_id)
        await _resolve(db, deps, endpoint, Resolution.ENDED, now)
    deps.committed()


async def all_of(deps: Deps, workspace_id: UUID) -> dict[NoticeChannel, Endpoint]:
    """Return the workspace's endpoints, disabled or not."""
    async with transaction(deps.pool) as db:
        found = await store.of_workspace(db, workspace_id)
    return {endpoint.channel: endpoint for endpoint in found}


async def find(deps: Deps, channel: NoticeChannel, workspace_id: UUID) -> Endpoint | None:
    """Return the workspace's endpoint, disabled or not."""
    return (await all_of(deps, workspace_id)).get(channel)


async def begin_test(deps: Deps, channel: NoticeChannel, workspace_id: UUID, now: datetime) -> Endpoint:
    """Return the endpoint that is to be tested now.

    Args:
        deps: what the operations of the service work with.
        channel: the channel.
        workspace_id: the workspace.
        now: the present time, in UTC.

    Raises:
        NoEndpointError: there is none.
        TooManyTestsError: it was tested a moment ago.

    """
    async with transaction(deps.pool) as db:
        endpoint = await store.lock(db, workspace_id, channel)
        if endpoint is None:
            raise NoEndpointError
        if not await store.take_test(db, endpoint, now, TEST_PAUSE):
            raise TooManyTestsError
    return endpoint


async def passed_test(deps: Deps, endpoint: Endpoint, now: datetime) -> None:
    """It works: a disabled endpoint is on again."""
    async with transaction(deps.pool) as db:
        await store.enable(db, endpoint)
        await _resolve(db, deps, endpoint, Resolution.RENEWED, now)
    deps.committed()


async def disable(db: Db, deps: Deps, endpoint: Endpoint, reason: str, now: datetime) -> None:
    """Send nothing more there, and tell the workspace's admins, once.

    Args:
        db: the transaction.
        deps: what the channel works with.
        endpoint: the workspace's endpoint.
        reason: why, for the admins.
        now: the present time, in UTC.

    """
    disabled = await store.disable(db, endpoint, reason)
    if disabled is not None:
        _log.warning(
            "endpoint_disabled", channel=endpoint.channel.value, workspace_id=str(endpoint.workspace_id), reason=reason
        )
        await telling.take(db, deps, FactFound(disabled.disabled_fact), now)


async def open_secrets(vault: KeyEncryption, endpoint: Endpoint) -> Secrets | None:
    """Return the endpoint's secrets; None when the key that sealed them is gone."""
    try:
        opened: Secrets = json.loads(await vault.unwrap(endpoint.sealed, _aad(endpoint.endpoint_id, endpoint.version)))
    except UnsealableError:
        _log.error("endpoint_unsealable", channel=endpoint.channel.value, workspace_id=str(endpoint.workspace_id))
        return None
    return opened


async def _resolve(db: Db, deps: Deps, endpoint: Endpoint, resolution: Resolution, now: datetime) -> None:
    await telling.take(db, deps, FactOver(endpoint.disabled_fact, resolution), now)


def _aad(endpoint_id: UUID, version: int) -> bytes:
    return associated_data("endpoint", endpoint_id, version)
