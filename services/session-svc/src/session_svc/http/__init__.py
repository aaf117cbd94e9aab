"""The identity API: parse, one operation, answer."""

from collections.abc import Sequence

from common.runtime.clock import Clock
from common.web import Routes
from session_svc.http import admin, auth, invitations, oauth2, passwords, people, well_known
from session_svc.http.edge import Edge
from session_svc.operations.deps import Deps

__all__ = ["Edge", "routes"]


def routes(deps: Deps, edge: Edge, clock: Clock) -> Sequence[Routes]:
    """Return every endpoint of `session-svc run`."""
    return (
        auth.routes(deps, edge, clock),
        passwords.routes(deps, edge, clock),
        people.routes(deps),
        admin.routes(deps, edge, clock),
        invitations.routes(deps, edge, clock),
        oauth2.routes(deps, clock),
        well_known.routes(deps, clock),
    )
