"""Bodies of the identity API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints

from common import addresses, text
from session_svc.core import people
from session_svc.core.audit import AuditedAct
from session_svc.core.impersonation import Impersonation
from session_svc.core.people import Member, Membership, Role
from session_svc.core.session import Session
from session_svc.operations.sign_in import Who
from session_svc.operations.tokens import Minted


def _email(value: str) -> str:
    addresses.mailable(value)
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("is not a time zone of the IANA database, such as Europe/Berlin")
    return value


def _plain_name(value: str) -> str:
    if not text.is_plain_name(value):
        raise ValueError("is not a name: leave out line breaks, invisible characters and web addresses")
    return value


def _membership_role(value: Role) -> Role:
    if value not in people.MEMBERSHIP_ROLES:
        raise ValueError("is not a role in a workspace; one of owner, admin, member")
    return value


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_email)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
MembershipRole = Annotated[Role, AfterValidator(_membership_role)]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_plain_name)
]


class SignIn(BaseModel):
    """Who wants in."""

    email: Email
    password: Password
    workspace_id: UUID | None = Field(default=None, description="the workspace to begin in; default: the one used last")


class SignOut(BaseModel):
    """How far out."""

    everywhere: bool = Field(default=False, description="end all sessions of this user, on every device")


class WorkspaceView(BaseModel):
    """A workspace that the user belongs to."""

    workspace_id: UUID
    name: str
    role: Role

    @classmethod
    def of(cls, membership: Membership) -> Self:
        """As the API shows it."""
        return cls(workspace_id=membership.workspace_id, name=membership.workspace_name, role=membership.role)


class TokenView(BaseModel):
    """A JWT for the session behind the cookie."""

    token: str = Field(description="the JWT, for `Authorization: Bearer`")
    token_type: str = "Bearer"  # noqa: S105  RFC 6750's name
    issued_at: int = Field(description="seconds since 1970, as in the JWT")
    expires_at: int = Field(description="seconds since 1970, as in the JWT")
    session_id: UUID
    session_expires_at: datetime
    extension_due: bool = Field(description="a POST would give the session its seven days again")

    @classmethod
    def of(cls, minted: Minted) -> "TokenView":
        """As the API shows it."""
        return cls(
            token=minted.token,
            issued_at=minted.issued_at,
            expires_at=minted.expires_at,
            session_id=minted.session.session_id,
            session_expires_at=minted.session.expires_at,
            extension_due=minted.extension_due,
        )


def token_json(minted: Minted) -> bytes:
    """`TokenView` as bytes, for the path on which every microsecond counts (a test holds the two together).

    No value here can need escaping: base64url, numbers, a UUID, a time.
    """
    session = minted.session
    return (
        f'{{"token":"{minted.token}","token_type":"Bearer","issued_at":{minted.issued_at},'
        f'"expires_at":{minted.expires_at},"session_id":"{session.session_id}",'
        f'"session_expires_at":"{session.expires_at.isoformat()}",'
        f'"extension_due":{"true" if minted.extension_due else "false"}}}'
    ).encode()


class SessionView(BaseModel):
    """The session, and who it is."""

    session_id: UUID
    user_id: UUID
    email: str
    name: str
    workspace_id: UUID
    role: Role
    support_admin: bool
    time_zone: str
    locale: str
    expires_at: datetime
    acting_admin_user_id: UUID | None = Field(description="the support admin who acts as this user")
    acting_admin_name: str | None
    workspaces: list[WorkspaceView]

    @classmethod
    def of(cls, session: Session, who: Who) -> Self:
        """As the API shows it."""
        user = who.user
        return cls(
            session_id=session.session_id,
            user_id=user.user_id,
            email=user.email,
            name=user.name,
            workspace_id=session.workspace_id,
            role=session.role,
            support_admin=user.support_admin,
            time_zone=user.time_zone,
            locale=user.locale,
            expires_at=session.expires_at,
            acting_admin_user_id=session.actor_user_id,
            acting_admin_name=who.actor_name,
            workspaces=[WorkspaceView.of(membership) for membership in who.memberships],
        )


class SignedInView(BaseModel):
    """A new session with its first JWT. The cookie is in the header."""

    session: SessionView
    token: TokenView


class OwnSession(BaseModel):
    """One of a person's sessions."""

    session_id: UUID
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime = Field(description="to a day: reading never writes")
    expires_at: datetime
    current: bool
    support: bool = Field(description="Wevion support acts as you in this one")


class SupportAccess(BaseModel):
    """Support acted as you."""

    by_name: str
    reason: str
    ticket: str | None
    started_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, impersonation: Impersonation) -> Self:
        """As the person who was acted for sees it."""
        return cls(
            by_name=impersonation.actor_name,
            reason=impersonation.reason,
            ticket=impersonation.ticket,
            started_at=impersonation.started_at,
            ended_at=impersonation.ended_at,
        )


class OwnSessionsView(BaseModel):
    """Where a person is signed in, and when support acted as them in the last 90 days."""

    items: list[OwnSession]
    support_access: list[SupportAccess]


class Ended(BaseModel):
    """How many sessions ended."""

    sessions_ended: int


class WorkspaceEnded(Ended):
    """How many sessions ended, and how many were left alone because their people rank above the caller."""

    sessions_kept: int


class SwitchWorkspace(BaseModel):
    """Where to go on."""

    workspace_id: UUID


class MemberView(BaseModel):
    """A person in a workspace."""

    user_id: UUID
    email: str
    name: str
    role: Role
    support_admin: bool
    workspace_id: UUID
    workspace_name: str
    time_zone: str
    locale: str
    disabled: bool

    @classmethod
    def of(cls, member: Member) -> Self:
        """As the API shows it."""
        return cls(
            user_id=member.user.user_id,
            email=member.user.email,
            name=member.user.name,
            role=member.role,
            support_admin=member.user.support_admin,
            workspace_id=member.workspace_id,
            workspace_name=member.workspace_name,
            time_zone=member.user.time_zone,
            locale=member.user.locale,
            disabled=member.user.disabled,
        )


class MemberSession(BaseModel):
    """A live session of somebody, as those who may end it see it."""

    session_id: UUID
    user_id: UUID
    workspace_id: UUID
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime = Field(description="to a day: reading never writes")
    expires_at: datetime
    current: bool = Field(description="the one in which this was asked")
    support: bool = Field(description="Wevion support acts as the user in this one")

    @classmethod
    def of(cls, session: Session, current: UUID) -> Self:
        """As the API shows it."""
        return cls(
            session_id=session.session_id,
            user_id=session.user_id,
            workspace_id=session.workspace_id,
            device=session.device,
            address=session.address,
            created_at=session.created_at,
            last_seen_at=session.extended_at,
            expires_at=session.expires_at,
            current=session.session_id == current,
            support=session.impersonated,
        )


class PersonView(BaseModel):
    """A colleague, as every member of the workspace may see them."""

    user_id: UUID
    name: str
    role: Role


class RoleChange(BaseModel):
    """A member's new role."""

    role: MembershipRole


class Impersonate(BaseModel):
    """Whom to act as, and why."""

    user_id: UUID
    workspace_id: UUID | None = Field(default=None, description="where to act; default: the user's oldest workspace")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)] = Field(
        description="why, in words that the user may read"
    )
    ticket: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] | None = None


class AuditEntry(BaseModel):
    """One line of the audit trail."""

    audit_id: UUID
    at: datetime
    action: str
    workspace_id: UUID | None
    actor_user_id: UUID | None = Field(description="who really did it")
    actor_name: str | None
    as_user_id: UUID | None = Field(description="whom they acted as, when that was somebody else")
    as_name: str | None
    client_id: str | None
    session_id: UUID | None
    target_kind: str | None
    target_id: str | None
    target_name: str | None = Field(description="of a person; other things have no names here")
    address: str | None
    reason: str | None
    details: dict[str, str]

    @classmethod
    def of(cls, entry: AuditedAct, names: Mapping[UUID, str]) -> Self:
        """As the API shows it."""

        def name(user_id: UUID | None) -> str | None:
            return names.get(user_id) if user_id else None

        return cls(
            audit_id=entry.audit_id,
            at=entry.at,
            action=entry.action.value,
            workspace_id=entry.workspace_id,
            actor_user_id=entry.actor_user_id,
            actor_name=name(entry.actor_user_id),
            as_user_id=entry.as_user_id,
            as_name=name(entry.as_user_id),
            client_id=entry.client_id,
            session_id=entry.session_id,
            target_kind=entry.target_kind,
            target_id=entry.target_id,
            target_name=name(entry.target_user_id),
            address=entry.address,
            reason=entry.reason,
            details=dict(entry.details),
        )


class ChangePassword(BaseModel):
    """The present password and the next."""

    current_password: Password
    new_password: Password


class RequestReset(BaseModel):
    """Whose password was forgotten."""

    email: Email


class ConfirmReset(BaseModel):
    """The one-time value of the mailed link, and the next password."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=200)]
    new_password: Password
