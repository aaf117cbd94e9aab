"""One connection, asked about at its platform now."""

from pydantic import BaseModel, Field

from common.contracts import DetectedBy
from common.web import Access, Principal, Routes
from oauth_svc.http.connections import ConnectionPath
from oauth_svc.http.refusals import as_problems, caller_of
from oauth_svc.http.views import ConnectionView, connection_view
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving import probe, reading


class Check(BaseModel):
    """What the platform says about one connection now."""

    connection: ConnectionView
    verified: bool = Field(description="the platform confirmed the grant just now")
    reason: str | None = Field(default=None, description="class and code, when it did not")
    explanation: str


def routes(deps: Deps, engine: Engine) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("checks")

    @r.post("/api/v1/connections/{id}/check", access=Access.user(), summary="Ask the platform now", problems=(404,))
    async def check(path: ConnectionPath, principal: Principal) -> Check:
        """Asks about the grant and its accounts, and writes what changed. A dead one is not asked about."""
        workspace_id = caller_of(principal).workspace_id
        with as_problems():
            await reading.connection(deps, workspace_id, path.id)
            finding = await probe.probe(deps, engine, path.id, DetectedBy.PROBE)
            found = await reading.connection(deps, workspace_id, path.id)
        view = connection_view(deps, found, (await reading.listings(deps, [found])).get(found.connection_id))
        failure, verified = finding.failure, finding.failure is None and found.status.alive
        if verified:
            words = f"{view.title} was asked just now, and the connection works."
        elif found.status.alive:
            words = f"{view.title} could not be asked; it is tried again by itself."
        else:
            words = view.summary
        reason = None if failure is None else f"{failure.verdict.value}:{failure.code}"
        return Check(connection=view, verified=verified, reason=reason, explanation=words)

    return r
