"""What is on record of an impersonation."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Impersonation:
    """A support admin's time as somebody else."""

    session_id: UUID
    actor_user_id: UUID
    actor_name: str
    user_id: UUID
    reason: str
    ticket: str | None
    started_at: datetime
    ended_at: datetime
