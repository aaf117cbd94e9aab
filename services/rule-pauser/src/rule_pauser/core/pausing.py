"""When a rule is paused and resumed: a function of what is true now, never of attempts.

A pause is a set of reasons, one per account that does not work. It begins with the first and ends with the last. A
person always wins: what they paused, switched off or changed meanwhile is not resumed for them.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts import TokenKind
from rule_pauser.core.words import reason_words


class Mode(StrEnum):
    """What a workspace wants of the automatic pause."""

    ON = "on"
    OFF = "off"
    DRY_RUN = "dry_run"


class Why(StrEnum):
    """What is wrong with an account that a rule needs."""

    TOKEN_EXPIRED = "token_expired"  # noqa: S105  a reason, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    ACCESS_LOST = "access_lost"
    PLATFORM_INCIDENT = "platform_incident"


@dataclass(frozen=True, slots=True)
class PauseReason:
    """One account that does not work, why, and since which version of its grant (or of its platform's incident)."""

    account_id: UUID
    account_name: str
    token_id: UUID
    provider: str
    kind: TokenKind
    why: Why
    cause: str | None
    version: int
    since: datetime

    @property
    def words(self) -> str:
        return reason_words(self.why, self.provider, self.account_name, self.cause)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is stored, with the reasons that hold it."""

    rule_id: UUID
    workspace_id: UUID
    name: str
    enabled: bool
    revision: int
    version: int
    person_paused_at: datetime | None = None
    person_paused_by: UUID | None = None
    auto_paused_at: datetime | None = None
    auto_paused_revision: int | None = None
    auto_paused_account: UUID | None = None
    auto_paused_token: UUID | None = None
    reasons: tuple[PauseReason, ...] = ()

    @property
    def wanted(self) -> bool:
        """Return whether its author and the people around want it to run."""
        return self.enabled and self.person_paused_at is None

    @property
    def running(self) -> bool:
        return self.wanted and self.auto_paused_at is None

    @property
    def changed_while_paused(self) -> bool:
        """Return whether it was edited after it had been paused automatically."""
        return self.auto_paused_revision is not None and self.auto_paused_revision != self.revision

    @property
    def held(self) -> bool:
        """Return whether every account works again and only a person's look is missing."""
        return self.auto_paused_at is not None and not self.reasons


class RuleOutcome(StrEnum):
    """What reconciling did to a rule."""

    NONE = "none"
    REASONS_CHANGED = "reasons_changed"
    PAUSED = "paused"
    WOULD_PAUSE = "would_pause"
    RESUMED = "resumed"
    RELEASED = "released"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Pause:
    """What an automatic pause was announced for; its end names the same account and grant."""

    account_id: UUID
    token_id: UUID
    since: datetime


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The rule after reconciling, what happened, and why, in words; `pause` is what began or ended."""

    rule: Rule
    outcome: RuleOutcome
    words: str = ""
    pause: Pause | None = None


def reconcile(rule: Rule, blocked: tuple[PauseReason, ...], mode: Mode, now: datetime) -> Reconciled:
    """Bring a rule in line with the accounts that do not work at `now`.

    Args:
        rule: the rule.
        blocked: why each account that does not work blocks it.
        mode: whether rules are paused, left alone, or only said to be paused.
        now: the present time, in UTC.

    """
    reasons = () if mode is Mode.OFF else tuple(sorted(blocked, key=lambda reason: (reason.since, reason.account_id)))
    after = replace(rule, reasons=reasons)
    if reasons and mode is Mode.ON:
        if rule.auto_paused_at is None and rule.wanted:
            return _pause(after, now)
    elif rule.auto_paused_at is not None:
        return _end(rule, after, mode)
    elif reasons and not rule.reasons and rule.wanted:
        words = f"Would have been paused (dry run): {reasons[0].words}"
        return Reconciled(_raised(after), RuleOutcome.WOULD_PAUSE, words)
    if reasons != rule.reasons:
        return Reconciled(_raised(after), RuleOutcome.REASONS_CHANGED)
    return Reconciled(rule, RuleOutcome.NONE)


@dataclass(frozen=True, slots=True)
class RuleActor:
    """Who pauses or resumes a rule by hand.

    Attributes:
        name: for the history: a user's or a service client's id, and the support admin behind an impersonation.
        words: the same for people, such as "a person".
        user_id: the user; None for a service.

    """

    name: str
    words: str
    user_id: UUID | None = None


def resume_by_hand(rule: Rule, blocked: tuple[PauseReason, ...], actor: RuleActor) -> Reconciled:
    """Resume a rule by hand, which ends the pause by hand and whatever is left of the automatic one."""
    if rule.person_paused_at is None and rule.auto_paused_at is None:
        return Reconciled(rule, RuleOutcome.NONE)
    free = replace(_freed(rule), person_paused_at=None, person_paused_by=None, reasons=blocked)
    return Reconciled(free, RuleOutcome.RESUMED, f"Resumed by {actor.words}.", pause_of(rule) if rule.enabled else None)


def pause_of(rule: Rule) -> Pause | None:
    """Return the automatic pause that a rule is in."""
    if rule.auto_paused_at is None or rule.auto_paused_account is None or rule.auto_paused_token is None:
        return None
    return Pause(rule.auto_paused_account, rule.auto_paused_token, rule.auto_paused_at)


def _pause(after: Rule, now: datetime) -> Reconciled:
    first = after.reasons[0]
    paused = replace(
        _raised(after),
        auto_paused_at=now,
        auto_paused_revision=after.revision,
        auto_paused_account=first.account_id,
        auto_paused_token=first.token_id,
    )
    return Reconciled(paused, RuleOutcome.PAUSED, f"Paused automatically: {first.words}", pause_of(paused))


def _end(before: Rule, after: Rule, mode: Mode) -> Reconciled:
    ended = pause_of(before)
    if not before.wanted:
        words = "Every account works again; the rule stays paused, because a person paused it or switched it off."
        return Reconciled(_freed(after), RuleOutcome.RELEASED, words, ended)
    if mode is not Mode.ON:
        words = "Resumed: automatic pausing was turned off for the workspace."
        return Reconciled(_freed(after), RuleOutcome.RESUMED, words, ended)
    if not before.changed_while_paused:
        return Reconciled(_freed(after), RuleOutcome.RESUMED, "Resumed: every account works again.", ended)
    if not before.reasons:
        return Reconciled(before, RuleOutcome.NONE)
    words = "Every account works again, but the rule was changed meanwhile: resume it by hand after a look at it."
    return Reconciled(_raised(after), RuleOutcome.HELD, words, ended)


def _freed(rule: Rule) -> Rule:
    return replace(
        _raised(rule),
        auto_paused_at=None,
        auto_paused_revision=None,
        auto_paused_account=None,
        auto_paused_token=None,
    )


def _raised(rule: Rule) -> Rule:
    return replace(rule, version=rule.version + 1)
