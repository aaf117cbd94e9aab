"""Which facts are worth a notice, which fact it is, and whether it is still true.

A notice is a function of a state change, never of an attempt. A fact's identity is (code, subject, episode): told
again it is the same fact, and after a recovery the next one is another.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from common.contracts import (
    DetectedBy,
    IncidentState,
    NoticeCode,
    RevocationCause,
    TokenEvent,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenKind,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    Verdict,
)
from notifier.core.tokens import Reading, Token, TokenAccount

OLD_NEWS = timedelta(days=7)
"""A death longer ago than this is history: a notifier that starts anew must not mail about last year."""

CONNECTIONS = frozenset({TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION})
TOKEN_CODES = frozenset({NoticeCode.TOKEN_EXPIRING, NoticeCode.TOKEN_EXPIRED, NoticeCode.TOKEN_REVOKED})
DEAD_CODES = frozenset({NoticeCode.TOKEN_EXPIRED, NoticeCode.TOKEN_REVOKED})
NAMES_ITS_RULES = DEAD_CODES | {NoticeCode.ACCOUNT_ACCESS_LOST}
"""Notices with a line about the rules that stand still: where one of these is, the rules need none of their own."""
URGENT_BELOW = timedelta(days=1)


class Resolution(StrEnum):
    """Why a notice is over."""

    RENEWED = "renewed"
    SUPERSEDED = "superseded"
    ENDED = "ended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One condition of one token, account or platform, in one episode: what notices are made of.

    Attributes:
        subject_id: the token's or the incident's id.
        episode: full expiry as Unix seconds for expiry codes, the version of the death for revocations.
        stage: the ladder's step for TOKEN_EXPIRING.
        owner_user_id: who made the connection; None for a platform's incident.
        workspace_id: None for a platform's incident, which crosses workspaces.
        verdict: of a platform's incident: whose trouble it is.

    """

    code: NoticeCode
    subject_id: UUID
    episode: int
    provider: str
    kind: TokenKind
    workspace_id: UUID | None = None
    owner_user_id: UUID | None = None
    token_id: UUID | None = None
    stage: str = ""
    expires_at: datetime | None = None
    cause: RevocationCause | None = None
    detected_by: DetectedBy | None = None
    accounts: tuple[TokenAccount, ...] = field(default=())
    tokens_affected: int = 0
    verdict: Verdict | None = None

    @property
    def identity(self) -> tuple[NoticeCode, UUID, int]:
        """Return what makes it this fact and no other, however often it is told."""
        return self.code, self.subject_id, self.episode


@dataclass(frozen=True, slots=True)
class Told:
    """What an event amounts to: a fact to tell, or the reason why there is none."""

    fact: Fact | None
    why_not: str = ""


def tell(token: Token, body: TokenEvent, reading: Reading, now: datetime) -> Told:
    """Return the fact that `body` establishes about `token` (the copy after folding it), if any.

    Args:
        token: the copy of the token, after the event was folded in.
        body: the event.
        reading: what the token was before.
        now: the present time, in UTC.

    """
    if reading is Reading.STALE:
        return Told(None, "stale")
    match body:
        case TokenExpiringV1():
            return _tell_expiring(token, body, now)
        case TokenStateV1() if now - body.since > OLD_NEWS:
            return Told(None, "old_news")
        case TokenExpiredV1() | TokenRevokedV1() | TokenStateV1():
            return _tell_dead(token)
    return Told(None, "no_fact")


def _tell_expiring(token: Token, body: TokenExpiringV1, now: datetime) -> Told:
    if token.kind not in CONNECTIONS:
        return Told(None, "kind")
    if body.expires_at <= now:
        return Told(None, "expired_meanwhile")
    return Told(_about(token, NoticeCode.TOKEN_EXPIRING, _seconds(body.expires_at), stage=body.stage))


def tell_rules(token: Token) -> Fact | None:
    """That rules stand still for a dead token, if it is dead: for those deaths that have no notice of their own."""
    if token.status.alive or token.kind not in CONNECTIONS:
        return None
    return _about(token, NoticeCode.RULES_PAUSED, token.outage)


def comes_back(code: NoticeCode) -> bool:
    """Return whether a fact that was over may be true again under the same identity.

    A grant that ended and was authorised again up to the very same moment expires then, as the warning before said;
    and of a dead grant one more rule may be paused after all had returned. A death is numbered by its version, so the
    next one is another.
    """
    return code in (NoticeCode.TOKEN_EXPIRING, NoticeCode.RULES_PAUSED)


def _tell_dead(token: Token) -> Told:
    if token.status is TokenStatus.EXPIRED and token.kind in CONNECTIONS:
        ended = token.expires_at
        episode = _seconds(ended) if ended is not None else token.outage
        return Told(_about(token, NoticeCode.TOKEN_EXPIRED, episode))
    if token.status is TokenStatus.REVOKED:
        if token.ended_by_own_will:
            return Told(None, "own_will")
        if token.kind in CONNECTIONS:
            return Told(_about(token, NoticeCode.TOKEN_REVOKED, token.outage))
        if token.kind is TokenKind.TELEGRAM_LINK:
            return Told(_about(token, NoticeCode.TELEGRAM_BROKEN, token.outage))
        return Told(None, "kind")
    return Told(None, "no_fact")


def _about(token: Token, code: NoticeCode, episode: int, stage: str = "") -> Fact:
    return Fact(
        code=code,
        subject_id=token.token_id,
        episode=episode,
        provider=token.provider,
        kind=token.kind,
        workspace_id=token.workspace_id,
        owner_user_id=token.owner_user_id,
        token_id=token.token_id,
        stage=stage,
        expires_at=token.expires_at,
        cause=token.cause,
        detected_by=token.detected_by,
        accounts=token.accounts,
    )


def judge(  # noqa: C901, PLR0911  a table: one answer per case
    code: NoticeCode, expires_at: datetime | None, token: Token | None
) -> Resolution | None:
    """Why a notice of `code` is over, given the present state; None while it is true.

    Args:
        code: of the notice.
        expires_at: the full expiry that the notice spoke of.
        token: our copy of the token; None when the notice is not about a token, or we know nothing (then we
            believe the notice).

    """
    if token is None:
        return None
    match code:
        case NoticeCode.TOKEN_EXPIRING:
            return _judge_expiring(expires_at, token)
        case NoticeCode.TOKEN_EXPIRED:
            if token.status is TokenStatus.REVOKED:
                return Resolution.ENDED if token.ended_by_own_will else Resolution.SUPERSEDED
            if token.status.alive:
                return Resolution.RENEWED if _renewed(expires_at, token) else None
            # Renewed without our hearing of it, and expired again: the later notice says more.
            return Resolution.SUPERSEDED if token.expires_at and _renewed(expires_at, token) else None
        case NoticeCode.TOKEN_REVOKED:
            if token.status.alive:
                return Resolution.RENEWED
            if token.status is TokenStatus.EXPIRED:
                return Resolution.SUPERSEDED
            return Resolution.ENDED if token.ended_by_own_will else None
        case NoticeCode.ACCOUNT_ACCESS_LOST:
            if token.ended_by_own_will:
                return Resolution.ENDED
            return None if token.status.alive else Resolution.SUPERSEDED
        case NoticeCode.RULES_PAUSED:
            return Resolution.RENEWED if token.status.alive else None
        case _:
            return None


def _judge_expiring(expires_at: datetime | None, token: Token) -> Resolution | None:
    if token.ended_by_own_will:
        return Resolution.ENDED
    if not token.status.alive:
        return Resolution.SUPERSEDED
    if _renewed(expires_at, token):
        return Resolution.RENEWED
    # A renewal may bring the end closer (platforms shorten lifetimes): the warning of the new date says what is true.
    return None if token.expires_at == expires_at else Resolution.SUPERSEDED


def _renewed(expires_at: datetime | None, token: Token) -> bool:
    if token.expires_at is None or expires_at is None:
        return True
    return token.expires_at > expires_at


def still_worth_saying(code: NoticeCode, expires_at: datetime | None, now: datetime) -> bool:
    """Return whether the words would still be right: "expires in" is wrong once it has."""
    return code is not NoticeCode.TOKEN_EXPIRING or expires_at is None or now < expires_at


def is_critical(code: NoticeCode, expires_at: datetime | None, now: datetime) -> bool:
    """Critical notices pass quiet hours: something stands still, or will within a day."""
    if code in DEAD_CODES:
        return True
    return code is NoticeCode.TOKEN_EXPIRING and expires_at is not None and expires_at - now <= URGENT_BELOW


def stage_length(stage: str) -> timedelta:
    """Return how long before full expiry a stage such as `7d` begins. A shorter one is more urgent."""
    unit = {"d": 86_400, "h": 3_600, "m": 60}[stage[-1]]
    return timedelta(seconds=int(stage[:-1]) * unit)


def escalates(held: str, new: str) -> bool:
    """Return whether stage `new` is more urgent than `held`: warnings only ever come closer."""
    if not new:
        return False
    return not held or stage_length(new) < stage_length(held)


def could_be_the_platform(detected_by: DetectedBy | None) -> bool:
    """Whether a death may be the platform's trouble: seen by us in refused calls, not said by a person or a webhook."""
    return detected_by in (DetectedBy.REFRESH, DetectedBy.PROBE, DetectedBy.REPORT)


def incident_is_over(state: IncidentState) -> bool:
    return state is IncidentState.CLOSED


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
