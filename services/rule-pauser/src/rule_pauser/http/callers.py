"""Whose rules a caller may see and change."""

from uuid import UUID

from common.web import Access, Principal, Problem, invalid_field
from common.web.problems import Place
from rule_pauser.core.pausing import RuleActor

SCOPE = "rules:write"
WORKSPACE_ADMINS = frozenset({"owner", "admin"})
ANYONE = Access.user_or_service(SCOPE)


def named_workspace(principal: Principal, workspace_id: UUID | None, place: Place) -> UUID:
    """Return the workspace of a call: a user's own; a service names it.

    A support admin is no exception: they see a customer's workspace by acting as one of its people, with a reason that
    the customer can read.

    Raises:
        Problem: the workspace is missing, or is not the caller's.

    """
    if principal.kind == "service":
        if workspace_id is None:
            raise invalid_field("workspace_id", "required", "a service names the workspace", place=place)
        return workspace_id
    if principal.workspace_id is None or workspace_id not in (None, principal.workspace_id):
        raise Problem(403, "forbidden", detail="this workspace is not yours")
    return principal.workspace_id


def visible_workspace(principal: Principal) -> UUID | None:
    """Return the workspace that a rule asked for by its id must be of; None: any."""
    if principal.kind == "service":
        return None
    return named_workspace(principal, None, "path")


def actor_of(principal: Principal) -> RuleActor:
    """Return who does it, for the history: the support admin behind an impersonated session included."""
    if principal.kind == "service":
        return RuleActor(principal.subject, "a service")
    if principal.act is not None:
        return RuleActor(
            f"{principal.subject} (support admin {principal.act.subject})",
            "Wevion support, acting as a person",
            principal.user_id,
        )
    return RuleActor(principal.subject, "a person", principal.user_id)
