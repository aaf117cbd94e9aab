"""From claimed deadlines to announcements: the decision of one sweep, as a value."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts import TokenEvent, TokenExpiredV1, TokenExpiringV1, TokenRef, TokenStatus
from expiry_watcher.core.inventory import full_expiry
from expiry_watcher.core.ladder import Expire, Ladder, Warn, step

EXPIRED = "expired"
"""The name of the ladder's end, beside the stages' own names."""


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed deadline with all that the decision needs, read after the claim.

    `token_expires_at`, `status` and `since` are the token's; `expires_at` is the date that the deadline was set for.
    """

    token: TokenRef
    status: TokenStatus
    since: datetime
    token_expires_at: datetime | None
    expires_at: datetime
    due_at: datetime
    mark: timedelta | None
    stages: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Announced:
    """One announcement: its stage, and how long after its moment it is made."""

    stage: str
    delay: timedelta


@dataclass(slots=True)
class WarningPlan:
    """All that one sweep does."""

    bodies: list[TokenEvent] = field(default_factory=list)
    said: list[Announced] = field(default_factory=list)
    marks: dict[tuple[UUID, datetime], timedelta] = field(default_factory=dict)
    next_due: dict[UUID, datetime] = field(default_factory=dict)
    replanned: dict[UUID, datetime] = field(default_factory=dict)
    finished: list[UUID] = field(default_factory=list)
    suppressed: Counter[str] = field(default_factory=Counter)


def plan(dues: Iterable[Due], default: Ladder, now: datetime) -> WarningPlan:
    """Decide about each claimed deadline at `now`."""
    result = WarningPlan()
    for due in dues:
        present = full_expiry(due.token.kind, due.status, due.since, due.token_expires_at)
        if present == due.expires_at:
            _step(result, due, default if due.stages is None else Ladder.parse(due.stages), now)
            continue
        # The schedule follows the token in one transaction, so this is a row that somebody edited by hand.
        result.suppressed["not_current"] += 1
        if present is None:
            result.finished.append(due.token.token_id)
        else:
            result.replanned[due.token.token_id] = present
    return result


def _step(result: WarningPlan, due: Due, ladder: Ladder, now: datetime) -> None:
    decision = step(due.expires_at, due.mark, ladder, now)
    match decision.say:
        case Warn(stage):
            remaining_s = int((due.expires_at - now).total_seconds())
            result.bodies.append(
                TokenExpiringV1(token=due.token, stage=stage.name, expires_at=due.expires_at, remaining_s=remaining_s)
            )
            # A token that came late into its window was due from when it came, not from when the stage began.
            result.said.append(Announced(stage.name, now - max(due.due_at, due.expires_at - stage.lead)))
        case Expire():
            result.bodies.append(TokenExpiredV1(token=due.token, expired_at=due.expires_at))
            result.said.append(Announced(EXPIRED, now - max(due.due_at, due.expires_at)))
        case None:
            result.suppressed["not_yet" if decision.mark is None else "said_before"] += 1
    if decision.mark is not None and decision.mark != due.mark:
        result.marks[due.token.token_id, due.expires_at] = decision.mark
    if decision.next_due is None:
        result.finished.append(due.token.token_id)
    else:
        result.next_due[due.token.token_id] = decision.next_due
