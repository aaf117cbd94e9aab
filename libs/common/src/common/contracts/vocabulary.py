"""The words that events, APIs and databases share. A value on the wire never changes its meaning."""

from enum import StrEnum


class TokenKind(StrEnum):
    """What "token" means: the thing whose full expiry a person would have to do something about."""

    SESSION = "session"
    PLATFORM_OAUTH = "platform_oauth"
    INTEGRATION = "integration"
    TELEGRAM_LINK = "telegram_link"


class TokenStatus(StrEnum):
    """Where a token is in its life; see `common.contracts.states` for the moves between them."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DEGRADED = "degraded"

    @property
    def alive(self) -> bool:
        """Whether the token can still be used without a person's help."""
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


class DetectedBy(StrEnum):
    """How the end of a token became known."""

    REFRESH = "refresh"
    WEBHOOK = "webhook"
    REPORT = "report"
    PROBE = "probe"
    USER = "user"
    ADMIN = "admin"


class FailureClass(StrEnum):
    """What a failed refresh means for us; permanence, retry and blame follow from it."""

    RETRY_LATER = "retry_later"
    RATE_LIMITED = "rate_limited"
    UNKNOWN_OUTCOME = "unknown_outcome"
    OUR_BUG = "our_bug"


class AccountAccess(StrEnum):
    """Whether a living grant reaches one of its ad accounts."""

    GRANTED = "granted"
    LOST = "lost"


class IncidentState(StrEnum):
    """Whether a platform incident has begun or is over."""

    OPENED = "opened"
    CLOSED = "closed"


class IncidentReason(StrEnum):
    """What many unrelated tokens of one platform failing alike amounts to."""

    OUTAGE = "outage"
    RATE_LIMIT = "rate_limit"
    CLIENT = "client"  # Wevion's own client is refused
    CONSENT = "consent"  # the platform refuses many consents at once: it enforces new ones, or it errs


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


class NoticeChannel(StrEnum):
    """Where a notice reaches a person."""

    IN_APP = "in_app"
    EMAIL = "email"
    TELEGRAM = "telegram"


PROVIDER_TITLES = {
    "meta": "Meta",
    "google-ads": "Google Ads",
    "tiktok": "TikTok",
    "taboola": "Taboola",
    "snapchat": "Snapchat",
    "outbrain": "Outbrain",
    "stripe": "Stripe",
    "google-drive": "Google Drive",
    "telegram": "Telegram",
    "wevion": "Wevion",
}
"""The spelling of each provider's own."""


def provider_title(provider: str) -> str:
    """The name that people know a provider by; one that was added by settings is written from its id."""
    return PROVIDER_TITLES.get(provider) or provider.replace("-", " ").replace("_", " ").title()
