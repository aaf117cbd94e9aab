"""The person behind a verified token, as the operations want them."""

from common.web import Principal, Problem
from notifier.operations.notices import Reader


def reader_of(principal: Principal) -> Reader:
    """Raises a Problem for a token without a workspace: notices belong to one."""
    if principal.workspace_id is None:
        raise Problem(403, "no_workspace", "The session belongs to no workspace", fix="Choose a workspace.")
    return Reader(
        user_id=principal.user_id,
        workspace_id=principal.workspace_id,
        role=principal.role or "member",
        session_id=principal.session_id,
        epoch=principal.epoch or 0,
    )
