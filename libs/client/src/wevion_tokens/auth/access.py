"""Who may call an endpoint, and who did."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID


class Audience(StrEnum):
    """The kinds of caller that an endpoint is for."""

    PUBLIC = "public"
    USER = "user"
    SERVICE = "service"
    USER_OR_SERVICE = "user_or_service"


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller must be. Built by the four constructors below, one per endpoint."""

    audience: Audience
    roles: frozenset[str] | None = None
    """Roles of a user in the workspace; None: any."""
    scope: str | None = None
    """The scope that a service's token must have."""
    refuse_act: bool = False
    """Refuse a support admin who acts as the user (RFC 8693 `act`): for calls that only the person may make."""

    @classmethod
    def public(cls) -> "Access":
        """Anybody, without a token."""
        return cls(Audience.PUBLIC)

    @classmethod
    def user(cls, roles: frozenset[str] | None = None, *, refuse_act: bool = False) -> "Access":
        """Return a signed-in person, of one of the roles if there are any."""
        return cls(Audience.USER, roles=roles, refuse_act=refuse_act)

    @classmethod
    def service(cls, scope: str) -> "Access":
        """Return a service client whose token has the scope."""
        return cls(Audience.SERVICE, scope=scope)

    @classmethod
    def user_or_service(cls, scope: str, roles: frozenset[str] | None = None, *, refuse_act: bool = False) -> "Access":
        """Either of the two, each by its own rule."""
        return cls(Audience.USER_OR_SERVICE, roles=roles, scope=scope, refuse_act=refuse_act)

    @property
    def is_public(self) -> bool:
        return self.audience is Audience.PUBLIC


@dataclass(frozen=True, slots=True)
class Actor:
    """The support admin behind an impersonated session (RFC 8693, section 4.1)."""

    subject: str
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller. Nothing in it comes from anywhere but a verified token."""

    kind: Literal["user", "service"]
    subject: str
    """The user's id, or the service client's."""
    token_id: str
    """The JWT's `jti`; not a `token_id` of the inventory."""
    expires_at: datetime
    session_id: UUID | None = None
    workspace_id: UUID | None = None
    role: str | None = None
    act: Actor | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    epoch: int | None = None

    @property
    def user_id(self) -> UUID:
        """Return the person's id. Raises ValueError for a service: ask only where `Access` admits users alone."""
        if self.kind != "user":
            raise ValueError("a service has no user id")
        return UUID(self.subject)
