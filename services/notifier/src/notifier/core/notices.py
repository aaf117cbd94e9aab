"""A condition as it is stored, a person's notice of it, and the view that its words are made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.contracts import NoticeCode, TokenKind, Verdict
from common.text import clean
from notifier.core.conditions import Fact, Resolution, is_critical
from notifier.core.rendering import NoticeView, ShownGap
from notifier.core.routing import ADMIN_ROLES
from notifier.core.tokens import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A fact that was told, and whether it still stands.

    Attributes:
        held_by: an open incident of the platform that may explain it: nobody is told while it lasts.
        people_complete: whether the people of its workspace were known, so that everybody was told.

    """

    condition_id: UUID
    fact: Fact
    raised_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    held_by: UUID | None = None
    people_complete: bool = True

    @property
    def code(self) -> NoticeCode:
        return self.fact.code

    @property
    def open(self) -> bool:
        return self.resolved_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one person is told about one condition."""

    notice_id: UUID
    user_id: UUID
    workspace_id: UUID
    version: int
    created_at: datetime
    read_at: datetime | None
    condition: Condition

    @property
    def of_workspace(self) -> bool:
        """Return whether its reader is the workspace itself (see `workspace_itself`), which sees nothing in the app."""
        return self.user_id == self.workspace_id


def view(
    notice: Notice, *, token: Token | None, role: str, rules_paused: int, gaps: Sequence[ShownGap], now: datetime
) -> NoticeView:
    """Return the notice with the present facts that its words need.

    Args:
        notice: the notice.
        token: the copy of the token that it is about; None if there is none.
        role: the reader's role.
        rules_paused: how many rules are paused for the token.
        gaps: the data gaps of the token's accounts.
        now: the present time, in UTC.

    """
    condition, fact = notice.condition, notice.condition.fact
    accounts = fact.accounts or (token.accounts if token is not None else ())
    return NoticeView(
        notice_id=notice.notice_id,
        code=fact.code,
        provider=fact.provider,
        kind=fact.kind,
        token_id=fact.token_id,
        stage=fact.stage,
        expires_at=fact.expires_at,
        cause=fact.cause,
        detected_by=fact.detected_by,
        account_names=tuple(clean(account.name) for account in accounts),
        rules_paused=rules_paused if fact.code is not NoticeCode.PLATFORM_INCIDENT else 0,
        gaps=tuple(
            replace(gap, account_name=clean(gap.account_name))
            for gap in gaps
            if fact.code is NoticeCode.DATA_GAP or gap.to_at >= condition.raised_at
        ),
        tokens_affected=fact.tokens_affected,
        ours=fact.verdict is Verdict.OUR_BUG,
        raised_at=condition.raised_at,
        resolved_at=condition.resolved_at,
        resolution=condition.resolution,
        critical=is_critical(fact.code, fact.expires_at, now),
        can_fix=fact.kind is not TokenKind.INTEGRATION or role in ADMIN_ROLES,
    )
