"""What a caller may see and change."""

from uuid import UUID

from common.web import Principal, Problem, invalid_field
from common.web.problems import Place
from expiry_watcher.core.tracked import TokenScope

WORKSPACE_ADMINS = frozenset({"owner", "admin"})


def scope_of(principal: Principal, workspace_id: UUID | None, place: Place = "query") -> TokenScope:
    """Return the tokens that a caller may see.

    A person sees their workspace: a member all of its connections and integrations but only their own sessions and
    Telegram links, an admin or owner everybody's. Services name the workspace. A support admin sees a customer's by
    acting as one of its people, with a reason that the customer can read.
    """
    if principal.kind == "service":
        if workspace_id is None:
            raise invalid_field(
                "workspace_id", "required", "a service names the workspace that it asks about", place=place
            )
        return TokenScope(workspace_id, None)
    if workspace_id is not None and workspace_id != principal.workspace_id:
        raise Problem(403, "forbidden", detail="this workspace is not yours")
    if principal.workspace_id is None:
        raise Problem(403, "forbidden", detail="this session has no workspace")
    everybody = principal.role in WORKSPACE_ADMINS
    return TokenScope(principal.workspace_id, None if everybody else principal.user_id)


def scope_of_one(principal: Principal) -> TokenScope:
    """As `scope_of`, for a token that is asked for by its id: services may see any."""
    if principal.kind == "service":
        return TokenScope(None, None)
    return scope_of(principal, None)
