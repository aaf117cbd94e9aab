"""Why a browser has no session, for programs and for people (product row T1.8). Each names the fix.

The codes are those of `common.auth`, so a client sees one closed list wherever it is refused; `cause` is finer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from session_svc.core.session import EndCause


class NoSessionReason(StrEnum):
    """The codes with which a cookie is refused."""

    TOKEN_MISSING = "token_missing"  # noqa: S105  a code, not a secret
    SESSION_EXPIRED = "session_expired"
    SESSION_REVOKED = "session_revoked"
    IMPERSONATION_ENDED = "impersonation_ended"
    USER_DISABLED = "user_disabled"


@dataclass(frozen=True, slots=True)
class RefusalWords:
    """What a program and a person are told."""

    reason: NoSessionReason
    title: str
    detail: str
    fix: str


NO_SESSION = RefusalWords(
    NoSessionReason.TOKEN_MISSING,
    "Not signed in",
    "This browser has no session with Wevion.",
    "Sign in with your email address and password.",
)

_ENDED: Mapping[EndCause, RefusalWords] = {
    EndCause.EXPIRED: RefusalWords(
        NoSessionReason.SESSION_EXPIRED,
        "The session has expired",
        "It was not used for seven days.",
        "Sign in again; nothing that you saved is lost.",
    ),
    EndCause.SIGNED_OUT: RefusalWords(
        NoSessionReason.SESSION_REVOKED,
        "Signed out",
        "You signed out: in this tab, in another one, or from another device.",
        "Sign in again.",
    ),
    EndCause.SUPERSEDED: RefusalWords(
        NoSessionReason.SESSION_REVOKED,
        "Replaced by a newer session",
        "This browser has signed in again since, or began to act as somebody else.",
        "Reload the page, or sign in again.",
    ),
    EndCause.ADMIN_FORCED: RefusalWords(
        NoSessionReason.SESSION_REVOKED,
        "Signed out by an administrator",
        "An administrator of your workspace, or Wevion support, ended this session.",
        "Sign in again; if that is refused, ask your workspace's administrator.",
    ),
    EndCause.PASSWORD_CHANGED: RefusalWords(
        NoSessionReason.SESSION_REVOKED,
        "The password was changed",
        "A change of the password ends every other session of the account.",
        "Sign in with the new password. If it was not you who changed it, reset it now.",
    ),
    EndCause.PERMISSION_CHANGED: RefusalWords(
        NoSessionReason.SESSION_REVOKED,
        "Your role changed",
        "Your role in the workspace, or your membership, was changed while you were signed in.",
        "Sign in again to go on with what you may do now.",
    ),
    EndCause.ACCOUNT_DISABLED: RefusalWords(
        NoSessionReason.USER_DISABLED,
        "The account is disabled",
        "Nobody can sign in to it for now.",
        "Ask your workspace's administrator, or Wevion support, to enable it.",
    ),
    EndCause.IMPERSONATION_ENDED: RefusalWords(
        NoSessionReason.IMPERSONATION_ENDED,
        "Acting as this user has ended",
        "The support session in which you acted as somebody else is over.",
        "Sign in again as the original admin.",
    ),
}


def words_for(cause: EndCause | None) -> RefusalWords:
    """Return what is said when a session ended for this cause; None: there never was one."""
    return NO_SESSION if cause is None else _ENDED[cause]
