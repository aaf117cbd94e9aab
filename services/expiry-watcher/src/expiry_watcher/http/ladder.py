"""A workspace's own stages."""

from uuid import UUID

from pydantic import BaseModel, Field

from common.runtime.clock import Clock
from common.web import Access, Principal, Problem, Routes, invalid_field
from expiry_watcher.core.errors import LadderRefusedError
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.http.callers import WORKSPACE_ADMINS
from expiry_watcher.operations import Deps, choose_ladder, read_ladder


class LadderView(BaseModel):
    """When a workspace is warned before full expiry."""

    stages: tuple[str, ...] = Field(description="such as 14d, 7d, 1d, 6h; the earliest first")
    chosen: bool = Field(description="false: the default, because the workspace chose none")


class LadderBody(BaseModel):
    """The stages to use from now on."""

    stages: list[str] = Field(description="such as 14d, 7d, 1d, 6h", min_length=1, max_length=12)


def ladder_routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints of the ladder."""
    r = Routes("ladder")

    @r.get("/api/v1/tokens/ladder", access=Access.user(), summary="When this workspace is warned")
    async def ladder(principal: Principal) -> LadderView:
        chosen = await read_ladder(deps, _workspace(principal))
        return LadderView(stages=(chosen or deps.ladder).names, chosen=chosen is not None)

    @r.put(
        "/api/v1/tokens/ladder",
        access=Access.user(WORKSPACE_ADMINS, refuse_act=True),
        summary="Choose when to be warned",
    )
    async def put_ladder(body: LadderBody, principal: Principal) -> LadderView:
        try:
            wanted = Ladder.parse(body.stages)
        except LadderRefusedError as error:
            raise invalid_field("stages", "ladder", str(error)) from error
        await choose_ladder(deps, _workspace(principal), wanted, principal.user_id, clock.now())
        return LadderView(stages=wanted.names, chosen=True)

    @r.delete(
        "/api/v1/tokens/ladder",
        access=Access.user(WORKSPACE_ADMINS, refuse_act=True),
        summary="Back to the default",
        status=204,
    )
    async def reset_ladder(principal: Principal) -> None:
        await choose_ladder(deps, _workspace(principal), None, principal.user_id, clock.now())

    return r


def _workspace(principal: Principal) -> UUID:
    if principal.workspace_id is None:
        raise Problem(403, "forbidden", detail="this session has no workspace")
    return principal.workspace_id
