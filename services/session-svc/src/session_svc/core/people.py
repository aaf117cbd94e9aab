"""Who there is: people, workspaces, and what a person may be in one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a person is in a workspace. `support_admin` comes from a flag on the user, not from a membership."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    SUPPORT_ADMIN = "support_admin"


MEMBERSHIP_ROLES = frozenset({Role.OWNER, Role.ADMIN, Role.MEMBER})
WORKSPACE_ADMINS = frozenset({Role.OWNER, Role.ADMIN})

_RANK = {Role.MEMBER: 0, Role.ADMIN: 1, Role.OWNER: 2, Role.SUPPORT_ADMIN: 3}


@dataclass(frozen=True, slots=True)
class User:
    """A person, without the secret part."""

    user_id: UUID
    email: str
    name: str
    support_admin: bool
    epoch: int
    time_zone: str
    locale: str
    disabled_at: datetime | None

    @classmethod
    def new(
        cls, user_id: UUID, *, email: str, name: str, time_zone: str, locale: str, support_admin: bool = False
    ) -> "User":
        """Somebody who was never here.

        Args:
            user_id: the id that they get.
            email: the address.
            name: the name that people see.
            time_zone: an IANA name, such as `Europe/Berlin`.
            locale: a BCP 47 tag, such as `en`.
            support_admin: they are of Wevion's support.

        """
        return cls(user_id, email, name, support_admin, epoch=0, time_zone=time_zone, locale=locale, disabled_at=None)

    @property
    def disabled(self) -> bool:
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's place in one workspace."""

    workspace_id: UUID
    workspace_name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Member:
    """A person as others in the workspace, and the notifier, see them."""

    user: User
    workspace_id: UUID
    workspace_name: str
    role: Role


def effective_role(*, support_admin: bool, membership: Role) -> Role:
    """Return the role of a session: a support admin is one wherever they are, and nothing else."""
    return Role.SUPPORT_ADMIN if support_admin else membership


def may_manage(actor: Role, target: Role) -> bool:
    """Return whether `actor` may change or sign out `target`: never somebody of a higher rank."""
    return actor in {*WORKSPACE_ADMINS, Role.SUPPORT_ADMIN} and _RANK[actor] >= _RANK[target]
