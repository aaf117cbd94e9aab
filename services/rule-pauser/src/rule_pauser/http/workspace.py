"""A workspace's switch for automatic pausing, and its bulk operations."""

from uuid import UUID

from pydantic import BaseModel, Field

from common.runtime.clock import Clock
from common.web import Access, Page, Principal, Routes
from rule_pauser.core.pausing import Mode
from rule_pauser.http.callers import ANYONE, WORKSPACE_ADMINS, named_workspace
from rule_pauser.http.views import ModeView, OperationView, operation_view
from rule_pauser.operations import Deps, choose_mode, list_operations, read_mode


class WorkspaceQuery(BaseModel):
    """Which workspace."""

    workspace_id: UUID | None = Field(default=None, description="services: which workspace")


class ModeBody(BaseModel):
    """The mode to use from now on."""

    mode: Mode


def settings_routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints of a workspace's choice."""
    r = Routes("workspace")

    @r.get("/api/v1/rules/settings", access=Access.user(), summary="Whether rules are paused automatically")
    async def get_mode(principal: Principal) -> ModeView:
        return ModeView(mode=await read_mode(deps, named_workspace(principal, None, "query")))

    @r.put(
        "/api/v1/rules/settings",
        access=Access.user(WORKSPACE_ADMINS, refuse_act=True),
        summary="Turn automatic pausing on, off, or to a dry run",
    )
    async def put_mode(body: ModeBody, principal: Principal) -> ModeView:
        workspace_id = named_workspace(principal, None, "query")
        await choose_mode(deps, workspace_id, body.mode, principal.user_id, clock.now())
        return ModeView(mode=body.mode)

    @r.get("/api/v1/rules/operations", access=ANYONE, summary="Bulk pauses and resumes, the latest first")
    async def operations(query: WorkspaceQuery, principal: Principal) -> Page[OperationView]:
        workspace_id = named_workspace(principal, query.workspace_id, "query")
        found = await list_operations(deps, workspace_id)
        return Page(items=[operation_view(item) for item in found])

    return r
