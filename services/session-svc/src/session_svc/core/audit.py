"""The audit trail: who did what, as whom, to what, from where, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID


class Action(StrEnum):
    """What is recorded."""

    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    SESSION_ENDED = "session_ended"
    SESSION_FORCED_OUT = "session_forced_out"
    USER_FORCED_OUT = "user_forced_out"
    WORKSPACE_FORCED_OUT = "workspace_forced_out"
    WORKSPACE_SWITCHED = "workspace_switched"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  an action, not a password
    PASSWORD_RESET_REQUESTED = "password_reset_requested"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    IMPERSONATION_STARTED = "impersonation_started"
    IMPERSONATION_ENDED = "impersonation_ended"
    USER_CREATED = "user_created"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    MEMBER_INVITED = "member_invited"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    INVITATION_ACCEPTED = "invitation_accepted"
    INVITATION_DECLINED = "invitation_declined"
    WORKSPACE_LEFT = "workspace_left"
    MEMBERSHIP_CHANGED = "membership_changed"
    MEMBERSHIP_REMOVED = "membership_removed"
    WORKSPACE_CREATED = "workspace_created"
    CLIENT_CREATED = "client_created"
    KEY_CREATED = "key_created"
    AUDIT_READ = "audit_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedAct:
    """One line of the trail."""

    audit_id: UUID
    at: datetime
    action: Action
    workspace_id: UUID | None = None
    actor_user_id: UUID | None = None
    as_user_id: UUID | None = None
    client_id: str | None = None
    session_id: UUID | None = None
    target_kind: str | None = None
    target_id: str | None = None
    address: str | None = None
    reason: str | None = None
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def target_user_id(self) -> UUID | None:
        """Return the person to whom it was done, if it was one."""
        return UUID(self.target_id) if self.target_kind == "user" and self.target_id else None

    def people(self) -> frozenset[UUID]:
        """Return everybody who is named in it."""
        return frozenset(one for one in (self.actor_user_id, self.as_user_id, self.target_user_id) if one is not None)
