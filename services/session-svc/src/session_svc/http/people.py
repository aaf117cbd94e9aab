"""`/api/v1/people`: colleagues, for everybody in the workspace."""

from uuid import UUID

from common.web import Access, Page, PageQuery, Principal, Routes, decode_cursor, encode_cursor
from session_svc.http.models import PersonView
from session_svc.http.refusals import RefusingRoutes
from session_svc.operations import sign_in
from session_svc.operations.deps import Deps


def routes(deps: Deps) -> Routes:
    """Return the endpoint."""
    r = RefusingRoutes("people", deps.public_url)

    @r.get("/api/v1/people", access=Access.user(), summary="Colleagues: the members of the workspace")
    async def people(query: PageQuery, principal: Principal) -> Page[PersonView]:
        """Return names and roles, for every member: who connected what, and whom to ask. No addresses."""
        listing = f"people:{principal.workspace_id}"
        after = decode_cursor(listing, query.cursor, [UUID])
        found = await sign_in.colleagues(
            deps, principal.workspace_id, after=after[0] if after else None, limit=query.limit + 1
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page[PersonView](
            items=[PersonView(user_id=one.user.user_id, name=one.user.name, role=one.role) for one in shown],
            next_cursor=encode_cursor(listing, [shown[-1].user.user_id]) if more else None,
        )

    return r
