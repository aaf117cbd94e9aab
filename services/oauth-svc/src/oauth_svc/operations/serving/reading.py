"""Plain reads, each bound to a workspace."""

from collections.abc import Sequence
from uuid import UUID

from common import postgres
from common.contracts import TokenKind
from oauth_svc import store
from oauth_svc.core.connection import Account, Connection
from oauth_svc.core.errors import UnknownAccountError, UnknownConnectionError
from oauth_svc.operations.deps import Deps
from oauth_svc.store.gaps import Gap
from oauth_svc.store.listings import ListingProgress


async def connections(
    deps: Deps,
    workspace_id: UUID,
    *,
    kind: TokenKind | None,
    provider: str | None,
    after: UUID | None,
    limit: int,
) -> list[Connection]:
    """Return a page of the workspace's connections, each with what it needs.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        kind: the kind of token; None for all.
        provider: the provider; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    async with postgres.connection(deps.pool) as db:
        found = await store.connections.listing(
            db, workspace_id, kind=kind.value if kind else None, provider=provider, after=after, limit=limit
        )
    return [connection for connection in found if connection.provider in deps.providers]


async def connection(deps: Deps, workspace_id: UUID, connection_id: UUID) -> Connection:
    """Raises `UnknownConnectionError`, also for one of another workspace."""
    async with postgres.connection(deps.pool) as db:
        found = await store.connections.get(db, workspace_id, connection_id)
    if found is None or found.provider not in deps.providers:
        raise UnknownConnectionError
    return found


async def listings(deps: Deps, connections: Sequence[Connection]) -> dict[UUID, ListingProgress]:
    """Return what is to be said of these connections' lists of accounts; those of which nothing is are left out."""
    async with postgres.connection(deps.pool) as db:
        return await store.listings.of(db, [connection.connection_id for connection in connections])


async def accounts(
    deps: Deps, workspace_id: UUID, *, connection_id: UUID | None, after: UUID | None, limit: int
) -> list[tuple[Account, Connection]]:
    """Return a page of the workspace's accounts.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        connection_id: the connection; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    async with postgres.connection(deps.pool) as db:
        found = await store.accounts.page(db, workspace_id, connection_id=connection_id, after=after, limit=limit)
    return [entry for entry in found if entry[1].provider in deps.providers]


async def account(deps: Deps, workspace_id: UUID | None, account_id: UUID) -> tuple[Account, Connection]:
    """Raises `UnknownAccountError`, also for one of another workspace. None: any workspace, for services."""
    async with postgres.connection(deps.pool) as db:
        found = await store.accounts.get(db, workspace_id, account_id)
    if found is None or found[1].provider not in deps.providers:
        raise UnknownAccountError
    return found


async def gaps(
    deps: Deps, workspace_id: UUID, *, account_id: UUID | None, after: UUID | None, limit: int
) -> tuple[list[Gap], tuple[int, int, float]]:
    """Return a page of the workspace's data gaps, the newest first.

    Args:
        deps: what the operations of the service work with.
        workspace_id: the workspace.
        account_id: the account; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    async with postgres.connection(deps.pool) as db:
        found = await store.gaps.listing(db, workspace_id, account_id=account_id, after=after, limit=limit)
        totals = await store.gaps.totals(db, workspace_id, deps.clock.now())
    return found, totals


async def open_incidents(deps: Deps) -> set[str]:
    """Providers with an open incident."""
    async with postgres.connection(deps.pool) as db:
        return await store.health.open_providers(db)
