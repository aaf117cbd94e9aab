"""What is shown of a workspace's rules: the rules with their accounts, their history, and bulk operations."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rule_pauser.core.pausing import Rule


@dataclass(frozen=True, slots=True)
class RuleScope:
    """Name the rules of a reconciliation: those of a grant, an account, a workspace, or a platform in a workspace."""

    workspace_id: UUID
    token_id: UUID | None = None
    account_id: UUID | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One bulk operation."""

    reconciliation_id: UUID
    scope: RuleScope
    why: str
    fact_at: datetime
    started_at: datetime
    finished_at: datetime | None
    after_rule: UUID | None
    seen: int
    paused: int
    resumed: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A rule as it is read: with its accounts and what holds it."""

    rule: Rule
    account_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a rule's history."""

    at: datetime
    what: str
    words: str
    actor: str | None
    version: int
