"""What every operation is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import Event, EventBody
from common.crypto import KeyEncryption
from common.postgres import Db, Pool
from common.runtime.ids import new_id
from common.runtime.rate_limit import RateLimit
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.people import Role
from session_svc.core.session import Lifetimes
from session_svc.operations.hashing import PasswordHasher
from session_svc.operations.keys import SigningKeys
from session_svc.store import audit

SOURCE = "session-svc"


PER_ACCOUNT_AND_ADDRESS = RateLimit(burst=8, every_s=60)
"""The same person from the same place: enough for honest mistakes."""
PER_ACCOUNT = RateLimit(burst=50, every_s=30)
"""The same account from everywhere. Wide, because a stranger can use it up to lock somebody out."""
PER_ADDRESS = RateLimit(burst=100, every_s=1)
"""Everybody behind one address: an office signs in at nine."""
RESETS_PER_ACCOUNT = RateLimit(burst=3, every_s=600)
RESETS_PER_ADDRESS = RateLimit(burst=20, every_s=30)


INVITATIONS_PER_INVITER = RateLimit(burst=30, every_s=120)
INVITATIONS_PER_WORKSPACE = RateLimit(burst=100, every_s=300)
INVITATION_MAILS_PER_ADDRESS = RateLimit(burst=3, every_s=28_800)
"""From all workspaces together: nobody's mailbox is filled by invitations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """How often what may be tried, and how long what is kept."""

    per_account_and_address: RateLimit = PER_ACCOUNT_AND_ADDRESS
    per_account: RateLimit = PER_ACCOUNT
    per_address: RateLimit = PER_ADDRESS
    resets_per_account: RateLimit = RESETS_PER_ACCOUNT
    resets_per_address: RateLimit = RESETS_PER_ADDRESS
    invitations_per_inviter: RateLimit = INVITATIONS_PER_INVITER
    invitations_per_workspace: RateLimit = INVITATIONS_PER_WORKSPACE
    invitation_mails_per_address: RateLimit = INVITATION_MAILS_PER_ADDRESS
    reset_link_life: timedelta = timedelta(minutes=30)
    service_jwt_life: timedelta = timedelta(minutes=15)
    """A service's JWT cannot be taken back (it has no session), so it lives shortly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The parts that operations work with, built in `app`."""

    pool: Pool
    keys: SigningKeys
    key_encryption: KeyEncryption
    hasher: PasswordHasher
    issuer: str
    audience: str
    public_url: str
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    limits: AttemptLimits = field(default_factory=AttemptLimits)
    committed: Callable[[], None] = lambda: None
    """Events leave at once instead of at the relay's next look."""
    express: Callable[[Sequence[Event[EventBody]]], None] = lambda _: None
    """Urgent events leave without waiting for whoever holds the outbox's lease."""
    wake_mail: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: a verified user, perhaps with the support admin behind them."""

    user_id: UUID
    session_id: UUID
    workspace_id: UUID
    role: Role
    actor_user_id: UUID | None
    address: str

    @property
    def support(self) -> bool:
        return self.role is Role.SUPPORT_ADMIN


async def record_act(
    db: Db,
    caller: Caller,
    action: Action,
    now: datetime,
    *,
    workspace_id: UUID | None = None,
    target: tuple[str, str] | None = None,
    reason: str | None = None,
    details: dict[str, str] | None = None,
) -> None:
    """One line of the audit trail about what `caller` does. Both names are in it when somebody acts as another.

    Args:
        db: the transaction of the act.
        caller: who calls.
        action: what was done.
        now: the present time, in UTC.
        workspace_id: the workspace that it touches; None for none.
        target: kind and id of what it was done to.
        reason: why, as the caller gave it.
        details: further facts.

    """
    entry = AuditedAct(
        audit_id=new_id(),
        at=now,
        action=action,
        workspace_id=workspace_id or caller.workspace_id,
        actor_user_id=caller.actor_user_id or caller.user_id,
        as_user_id=caller.user_id if caller.actor_user_id else None,
        session_id=caller.session_id,
        target_kind=target[0] if target else None,
        target_id=target[1] if target else None,
        address=caller.address,
        reason=reason,
        details=details or {},
    )
    await audit.add(db, [entry])
