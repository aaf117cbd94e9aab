"""The words that events, APIs and databases share. A value on the wire never changes its meaning."""

from enum import StrEnum
from typing import Literal


class TokenKind(StrEnum):
    """What "token" means: the thing whose full expiry a person would have to do something about."""

    SESSION = "session"
    PLATFORM_OAUTH = "platform_oauth"
    INTEGRATION = "integration"
    TELEGRAM_LINK = "telegram_link"


class TokenStatus(StrEnum):
    """Where a token is in its life; see `wevion_tokens.contracts.states` for the moves between them."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DEGRADED = "degraded"

    @property
    def alive(self) -> bool:
        """Return whether the token can still be used without a person's help."""
        return self in (TokenStatus.ACTIVE, TokenStatus.EXPIRING, TokenStatus.DEGRADED)


class IssuedHow(StrEnum):
    """What brought a token, or a new life of it, into being."""

    SIGN_IN = "sign_in"
    IMPERSONATION = "impersonation"
    CONNECT = "connect"
    REAUTHORIZE = "reauthorize"
    LINK_CREATED = "link_created"


class RevocationCause(StrEnum):
    """Why a token ended before its time."""

    USER_REVOKED = "user_revoked"
    PERMISSION_CHANGED = "permission_changed"
    PLATFORM_ENFORCED = "platform_enforced"
    COMPROMISE = "compromise"
    DISCONNECTED = "disconnected"
    SIGNED_OUT = "signed_out"
    ADMIN_FORCED = "admin_forced"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a cause, not a password
    IMPERSONATION_ENDED = "impersonation_ended"
    UNLINKED = "unlinked"
    USED = "used"
    SUPERSEDED = "superseded"
    CREDENTIAL_LOST = "credential_lost"


class DetectedBy(StrEnum):
    """How the end of a token became known."""

    REFRESH = "refresh"
    WEBHOOK = "webhook"
    REPORT = "report"
    PROBE = "probe"
    USER = "user"
    ADMIN = "admin"


class Verdict(StrEnum):
    """What a refusal or an error means, named by who can help: the one taxonomy of the product.

    `PLATFORM_VERDICTS` are those of a platform's answer; `RefreshFailure` and `IncidentVerdict` are what events
    carry. "Which token is it?" may answer any of them.
    """

    RETRY_LATER = "retry_later"
    RATE_LIMITED = "rate_limited"
    REAUTHORIZE = "reauthorize"
    ACCOUNT_LOST_ACCESS = "account_lost_access"
    OUR_BUG = "our_bug"
    UNKNOWN_OUTCOME = "unknown_outcome"
    MISSING_PERMISSION = "missing_permission"
    EXPIRING = "expiring"
    SIGN_IN = "sign_in"
    NEW_LINK = "new_link"
    NOT_ALLOWED = "not_allowed"
    NOT_A_TOKEN = "not_a_token"  # noqa: S105  a verdict, not a token
    UNKNOWN = "unknown"

    @property
    def only_a_person_helps(self) -> bool:
        """True when no retry of ours can succeed."""
        return self is Verdict.REAUTHORIZE

    @property
    def pages_operators(self) -> bool:
        """True when the fault is ours: operators are alerted, customers are never told to re-authorise."""
        return self is Verdict.OUR_BUG


PLATFORM_VERDICTS = (
    Verdict.RETRY_LATER,
    Verdict.RATE_LIMITED,
    Verdict.REAUTHORIZE,
    Verdict.ACCOUNT_LOST_ACCESS,
    Verdict.OUR_BUG,
    Verdict.UNKNOWN_OUTCOME,
)
"""What a platform's answer can mean."""

RefreshFailure = Literal[Verdict.RETRY_LATER, Verdict.RATE_LIMITED, Verdict.UNKNOWN_OUTCOME, Verdict.OUR_BUG]
"""What a failed refresh can mean while the grant is believed alive."""

IncidentVerdict = Literal[Verdict.RETRY_LATER, Verdict.RATE_LIMITED, Verdict.OUR_BUG, Verdict.REAUTHORIZE]
"""What many unrelated tokens of one platform failing alike amounts to."""

INCIDENT_REASONS: dict[IncidentVerdict, str] = {
    Verdict.RETRY_LATER: "outage",
    Verdict.RATE_LIMITED: "rate_limit",
    Verdict.OUR_BUG: "client",  # Wevion's own client is refused
    Verdict.REAUTHORIZE: "consent",  # many consents are refused at once: the platform enforces new ones, or it errs
}
"""How `platform.incident` and the database write an incident's verdict."""

INCIDENT_VERDICTS = {written: verdict for verdict, written in INCIDENT_REASONS.items()}
"""The verdict of a written reason."""


class AccountAccess(StrEnum):
    """Whether a living grant reaches one of its ad accounts."""

    GRANTED = "granted"
    LOST = "lost"


class IncidentState(StrEnum):
    """Whether a platform incident has begun or is over."""

    OPENED = "opened"
    CLOSED = "closed"


class NoticeCode(StrEnum):
    """The machine code of a notice, shown in the app and searched for in help articles (ntf-103)."""

    TOKEN_EXPIRING = "TOKEN_EXPIRING"  # noqa: S105  a code, not a token
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105
    ACCOUNT_ACCESS_LOST = "ACCOUNT_ACCESS_LOST"
    PLATFORM_INCIDENT = "PLATFORM_INCIDENT"
    RULES_PAUSED = "RULES_PAUSED"
    DATA_GAP = "DATA_GAP"
    TELEGRAM_BROKEN = "TELEGRAM_BROKEN"
    CHANNEL_DISABLED = "CHANNEL_DISABLED"


class NoticeChannel(StrEnum):
    """Where a notice is read: by a person, or (Slack, webhooks) by the whole workspace and its own systems."""

    IN_APP = "in_app"
    EMAIL = "email"
    TELEGRAM = "telegram"
    SLACK = "slack"
    WEBHOOK = "webhook"
