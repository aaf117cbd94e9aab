"""Whose rules a caller may see and change."""

from uuid import UUID

from common.web import Access, Principal, Problem, invalid_field
from common.web.problems import Place

SCOPE = "rules:write"
SUPPORT = "support_admin"
WORKSPACE_ADMINS = frozenset({"owner", "admin"})
ANYONE = Access.user_or_service(SCOPE)


def named_workspace(principal: Principal, workspace_id: UUID | None, place: Place) -> UUID:
    """The workspace of a call: a user's own; services and support admins name it."""
    if principal.kind == "service":
        if workspace_id is None:
            raise invalid_field("workspace_id", "required", "a service names the workspace", place=place)
        return workspace_id
    if principal.role == SUPPORT and workspace_id is not None:
        return workspace_id
    if principal.workspace_id is None or workspace_id not in (None, principal.workspace_id):
        raise Problem(403, "forbidden", detail="this workspace is not yours")
    return principal.workspace_id


def visible_workspace(principal: Principal) -> UUID | None:
    """The workspace that a rule asked for by its id must be of; None: any."""
    if principal.kind == "service" or principal.role == SUPPORT:
        return None
    return named_workspace(principal, None, "path")


def actor_of(principal: Principal) -> str:
    """Who did it, for the history: the support admin behind an impersonated session included."""
    if principal.act is not None:
        return f"{principal.subject} (support admin {principal.act.subject})"
    return principal.subject
