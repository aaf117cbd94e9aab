"""Connections: list, read, disconnect, retry now; providers, integrations, data gaps."""

from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import TokenKind
from common.runtime.errors import RetryableError
from common.web import Access, Page, PageQuery, Principal, Problem, Routes, decode_cursor, encode_cursor
from oauth_svc.core.connection import ended_as
from oauth_svc.core.roles import MANAGERS
from oauth_svc.http.refusals import as_problems, caller_of
from oauth_svc.http.views import (
    ConnectionView,
    Gaps,
    Integrations,
    IntegrationView,
    Providers,
    ProviderView,
    connection_view,
    gap_view,
)
from oauth_svc.operations import disconnect as disconnecting
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import reading

PERSON = Access.user()
PERSON_ONLY = Access.user(refuse_act=True)


class ConnectionPath(BaseModel):
    """Which connection."""

    id: UUID


class ConnectionsQuery(PageQuery):
    """Filters of the list."""

    provider: str | None = Field(default=None, max_length=40)
    kind: TokenKind | None = None


class GapsQuery(PageQuery):
    """Filters of the list."""

    account_id: UUID | None = None


def routes(deps: Deps, engine: Engine) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("connections")

    @r.get("/api/v1/connections", access=PERSON, summary="The workspace's connections")
    async def connections(query: ConnectionsQuery, principal: Principal) -> Page[ConnectionView]:
        caller = caller_of(principal)
        listing = f"connections:{query.provider}:{query.kind}"
        after = decode_cursor(listing, query.cursor, (UUID,))
        found = await reading.connections(
            deps,
            caller.workspace_id,
            kind=query.kind,
            provider=query.provider,
            after=after[0] if after else None,
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        progress = await reading.listings(deps, shown)
        items = [connection_view(deps, connection, progress.get(connection.connection_id)) for connection in shown]
        more = len(found) > query.limit
        return Page(items=items, next_cursor=encode_cursor(listing, [items[-1].connection_id]) if more else None)

    @r.get("/api/v1/connections/{id}", access=PERSON, summary="One connection", problems=(404,))
    async def connection(path: ConnectionPath, principal: Principal) -> ConnectionView:
        with as_problems():
            found = await reading.connection(deps, caller_of(principal).workspace_id, path.id)
        return connection_view(deps, found, (await reading.listings(deps, [found])).get(found.connection_id))

    @r.delete("/api/v1/connections/{id}", access=PERSON_ONLY, summary="Disconnect", problems=(403, 404))
    async def disconnect(path: ConnectionPath, principal: Principal) -> ConnectionView:
        """Ends it here at once. The platform is told afterwards, unless another connection shares the grant."""
        with as_problems():
            return connection_view(deps, await disconnecting.disconnect(deps, caller_of(principal), path.id))

    @r.post(
        "/api/v1/connections/{id}/refresh",
        access=PERSON,
        summary="Retry now",
        problems=(404, (409, "connection_dead"), (409, "refresh_under_way")),
    )
    async def refresh(path: ConnectionPath, principal: Principal) -> ConnectionView:
        """Refreshes at once, whatever the back-off says; never past the platform's own limits."""
        workspace_id = caller_of(principal).workspace_id
        with as_problems():
            before = await reading.connection(deps, workspace_id, path.id)
            if not before.status.alive:
                raise Problem(
                    409,
                    "connection_dead",
                    detail="Only a new authorisation helps.",
                    fix=f"Re-authorise {deps.providers[before.provider].profile.title}.",
                    fix_url=deps.fix_url(before.provider, before.connection_id),
                    token_kind=before.kind.value,
                    token_id=before.connection_id,
                    cause=ended_as(before.status, before.cause),
                )
            if not await engine.refresh_now(path.id) and deps.fence.closed:
                raise RetryableError("the database is compared with the log of states first")
            return connection_view(deps, await reading.connection(deps, workspace_id, path.id))

    @r.get("/api/v1/providers", access=PERSON, summary="What can be connected")
    async def providers() -> Providers:
        open_incidents = await reading.open_incidents(deps)
        return Providers(
            items=[
                ProviderView(
                    provider=p.profile.provider,
                    title=p.profile.title,
                    kind=p.profile.kind,
                    flow="consent" if p.profile.by_consent else "credentials",
                    connect_url=f"{deps.public_url}/connect/{p.profile.provider}",
                    incident=p.profile.provider in open_incidents,
                )
                for p in deps.providers
            ]
        )

    @r.get("/api/v1/integrations", access=PERSON, summary="The integrations, connected or not")
    async def integrations(principal: Principal) -> Integrations:
        caller = caller_of(principal)
        found = await reading.connections(
            deps, caller.workspace_id, kind=TokenKind.INTEGRATION, provider=None, after=None, limit=200
        )
        latest = {connection.provider: connection for connection in found}
        may = caller.role in MANAGERS
        return Integrations(
            items=[
                IntegrationView(
                    provider=p.profile.provider,
                    title=p.profile.title,
                    connection=connection_view(deps, latest[p.profile.provider])
                    if p.profile.provider in latest
                    else None,
                    can_manage=may,
                    connect_url=f"{deps.public_url}/connect/{p.profile.provider}" if may else None,
                    ask=None if may else "Ask an admin or the owner of your workspace.",
                )
                for p in deps.providers
                if p.profile.kind is TokenKind.INTEGRATION
            ]
        )

    @r.get("/api/v1/data-gaps", access=PERSON, summary="Data that was never synced")
    async def data_gaps(query: GapsQuery, principal: Principal) -> Gaps:
        """Newest first. Platforms do not backfill, so these hours are lost; the totals are the workspace's."""
        caller = caller_of(principal)
        listing = f"gaps:{query.account_id}"
        after = decode_cursor(listing, query.cursor, (UUID,))
        found, (total, still_open, seconds) = await reading.gaps(
            deps,
            caller.workspace_id,
            account_id=query.account_id,
            after=after[0] if after else None,
            limit=query.limit + 1,
        )
        items = [gap_view(gap) for gap in found[: query.limit]]
        more = len(found) > query.limit
        return Gaps(
            items=items,
            next_cursor=encode_cursor(listing, [items[-1].gap_id]) if more else None,
            total=total,
            open=still_open,
            total_seconds=seconds,
        )

    return r
