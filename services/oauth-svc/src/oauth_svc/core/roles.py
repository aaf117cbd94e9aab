"""Who may do what: integrations belong to the workspace's admins and owner (T3.2)."""

from dataclasses import dataclass
from uuid import UUID

from common.contracts import TokenKind
from oauth_svc.core.errors import RefusalError

MANAGERS = frozenset({"owner", "admin"})


class AdminOnlyError(RefusalError):
    """Only an admin or the owner of the workspace may do this."""

    code = "admin_required"
    fix = "Ask an admin or the owner of your workspace."


@dataclass(frozen=True, slots=True)
class WorkspaceCaller:
    """The signed-in person, as verified."""

    user_id: UUID
    workspace_id: UUID
    session_id: str
    role: str


def must_manage(kind: TokenKind, role: str) -> None:
    """Anyone may connect an ad platform; an integration takes an admin or the owner."""
    if kind is TokenKind.INTEGRATION and role not in MANAGERS:
        raise AdminOnlyError
