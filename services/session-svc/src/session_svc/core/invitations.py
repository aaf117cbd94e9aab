"""Invitations: what one may become, and when it still counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from session_svc.core.people import Role

LIFE = timedelta(days=7)
"""How long a person has to answer."""


class InvitationState(StrEnum):
    """What became of an invitation. One that is open and past its end has expired."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A workspace's offer of a membership to whoever owns an address.

    `workspace_name` and `inviter_name` are what the invited person is shown; nobody shows anything of the invited
    person to the workspace before they accept.
    """

    invitation_id: UUID
    workspace_id: UUID
    workspace_name: str
    email: str
    email_key: str
    role: Role
    invited_by: UUID
    inviter_name: str
    state: InvitationState
    created_at: datetime
    expires_at: datetime

    def refusal(self, now: datetime) -> str | None:
        """Return why the invitation cannot be answered any more (`used`, `withdrawn`, `expired`), or None."""
        if self.state is InvitationState.WITHDRAWN:
            return "withdrawn"
        if self.state is not InvitationState.OPEN:
            return "used"
        return "expired" if now >= self.expires_at else None
