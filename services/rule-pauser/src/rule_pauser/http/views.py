"""The shapes of answers."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import TokenKind
from rule_pauser.core.listed import HistoryEntry, Listed, Reconciliation
from rule_pauser.core.pausing import Mode, PauseReason, Why
from rule_pauser.core.words import fix_words


class ReasonView(BaseModel):
    """One account that does not work, why, and what to do about it."""

    account_id: UUID
    account_name: str
    token_id: UUID
    provider: str
    why: Why
    cause: str | None
    since: datetime
    words: str
    fix: str
    fix_url: str | None = Field(description="where a person fixes it; null: it passes by itself")


class RuleView(BaseModel):
    """One rule as it is now."""

    rule_id: UUID
    workspace_id: UUID
    name: str
    account_ids: tuple[UUID, ...]
    enabled: bool = Field(description="its author's own switch")
    revision: int = Field(description="of the definition; raised by its author with each edit")
    version: int = Field(description="of this row; raised with each change")
    running: bool = Field(description="enabled, and paused by nobody")
    auto_paused_at: datetime | None = Field(description="when it was paused automatically")
    person_paused_at: datetime | None = Field(description="when a person paused it")
    person_paused_by: UUID | None
    reasons: list[ReasonView] = Field(description="the accounts that do not work now; the pause ends with the last")
    held: bool = Field(description="every account works again, but the rule was changed meanwhile: resume it by hand")


class EntryView(BaseModel):
    """One line of a rule's history."""

    at: datetime
    what: str
    words: str
    actor: str | None = Field(description="who did it; null: this system")
    version: int


class RuleDetail(RuleView):
    """One rule with its history, newest first."""

    history: list[EntryView]


class ModeView(BaseModel):
    """What a workspace wants of the automatic pause."""

    mode: Mode = Field(description="on; off; dry_run: only tell what would have been paused")


class OperationView(BaseModel):
    """One bulk operation: the rules of a grant, an account or the workspace are reconciled by what is true now."""

    operation_id: UUID
    why: str
    token_id: UUID | None
    account_id: UUID | None
    provider: str | None = Field(description="the platform whose incident began or ended")
    started_at: datetime
    finished_at: datetime | None
    seen: int
    paused: int
    resumed: int


def fix_url(reason: PauseReason, public_url: str) -> str | None:
    """Return where a person fixes it; None: it passes by itself."""
    if reason.why is Why.PLATFORM_INCIDENT:
        return None
    if reason.kind is TokenKind.INTEGRATION:
        return f"{public_url}/settings/integrations"
    return f"{public_url}/connect/{reason.provider}?connection_id={reason.token_id}"


def rule_view(listed: Listed, public_url: str) -> RuleView:
    """Return a rule for people and programs."""
    return RuleView.model_validate(_members(listed, public_url))


def rule_detail(listed: Listed, history: Sequence[HistoryEntry], public_url: str) -> RuleDetail:
    """Return a rule with its history."""
    lines = [
        EntryView(at=entry.at, what=entry.what, words=entry.words, actor=entry.actor, version=entry.version)
        for entry in history
    ]
    return RuleDetail.model_validate(_members(listed, public_url) | {"history": lines})


def operation_view(item: Reconciliation) -> OperationView:
    """Return a reconciliation for people."""
    return OperationView(
        operation_id=item.reconciliation_id,
        why=item.why,
        token_id=item.scope.token_id,
        account_id=item.scope.account_id,
        provider=item.scope.provider,
        started_at=item.started_at,
        finished_at=item.finished_at,
        seen=item.seen,
        paused=item.paused,
        resumed=item.resumed,
    )


def _members(listed: Listed, public_url: str) -> dict[str, object]:
    rule = listed.rule
    return {
        "rule_id": rule.rule_id,
        "workspace_id": rule.workspace_id,
        "name": rule.name,
        "account_ids": listed.account_ids,
        "enabled": rule.enabled,
        "revision": rule.revision,
        "version": rule.version,
        "running": rule.running,
        "auto_paused_at": rule.auto_paused_at,
        "person_paused_at": rule.person_paused_at,
        "person_paused_by": rule.person_paused_by,
        "reasons": [
            ReasonView(
                account_id=reason.account_id,
                account_name=reason.account_name,
                token_id=reason.token_id,
                provider=reason.provider,
                why=reason.why,
                cause=reason.cause,
                since=reason.since,
                words=reason.words,
                fix=fix_words(reason.why, reason.provider, reason.account_name),
                fix_url=fix_url(reason, public_url),
            )
            for reason in rule.reasons
        ],
        "held": rule.held,
    }
