"""Why a caller is turned away: machine codes, words, and what to do about it.

`Reason` is the closed list that clients are built on (product row T1.8): each says whether to ask for a new token, to
sign in again, or to correct a clock. `Denial` is about a caller who is known but not allowed.
"""

from enum import StrEnum
from uuid import UUID

from wevion_tokens.contracts import RevocationCause, TokenKind
from wevion_tokens.contracts.causes import SESSIONS
from wevion_tokens.problems import Problem

SIGN_IN_PATH = "/sign-in"
SUPPORT = "support_admin"
_REALM = 'Bearer realm="wevion"'


class Reason(StrEnum):
    """The eight reasons for which a session's JWT is refused (401)."""

    TOKEN_MISSING = "token_missing"  # noqa: S105  codes, not secrets
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    CLOCK_SKEW = "clock_skew"
    SESSION_EXPIRED = "session_expired"
    SESSION_REVOKED = "session_revoked"
    IMPERSONATION_ENDED = "impersonation_ended"
    USER_DISABLED = "user_disabled"


class Denial(StrEnum):
    """Why a verified caller may not do this (403)."""

    FORBIDDEN_ROLE = "forbidden_role"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    IMPERSONATION_REFUSED = "impersonation_refused"
    USERS_ONLY = "users_only"
    SERVICES_ONLY = "services_only"


_SIGN_IN = "Sign in again."
_NEW_TOKEN = "Get a new token from /api/v1/auth/token and repeat the call."  # noqa: S105  words

_WORDS: dict[Reason, tuple[str, str, bool]] = {
    # reason: title, fix, whether the fix is at the sign-in page
    Reason.TOKEN_MISSING: ("A token is needed", "Sign in, or send the token as `Authorization: Bearer`.", True),
    Reason.TOKEN_INVALID: ("The token is not valid", _NEW_TOKEN, False),
    Reason.TOKEN_EXPIRED: ("The token has expired", _NEW_TOKEN, False),
    Reason.CLOCK_SKEW: ("The clocks differ too much", "Correct the clock of the machine that is wrong.", False),
    Reason.SESSION_EXPIRED: ("The session has expired", _SIGN_IN, True),
    Reason.SESSION_REVOKED: ("The session was ended", _SIGN_IN, True),
    Reason.IMPERSONATION_ENDED: ("Acting as this user has ended", "Sign in again as the original admin.", True),
    Reason.USER_DISABLED: ("The user is disabled", "Ask an admin of the workspace to enable the user.", False),
}

_FIXES: dict[RevocationCause, str] = {
    RevocationCause.ADMIN_FORCED: "Sign in again. If the account is disabled, that says so, and whom to ask.",
}


def refuse(
    reason: Reason,
    detail: str = "",
    *,
    cause: RevocationCause | None = None,
    session_id: UUID | None = None,
    public_url: str = "",
) -> Problem:
    """Return the refusal of a token.

    Args:
        reason: which of the eight it is.
        detail: what is special this time; no part of the token. By default the words for the cause.
        cause: why the session ended, where that is the reason.
        session_id: the session that ended.
        public_url: the product's origin, for the link to its sign-in page.

    Returns:
        The problem: 401, with the challenge of RFC 6750.

    """
    title, fix, at_sign_in = _WORDS[reason]
    said = detail or (SESSIONS.get(cause, "") if cause is not None else "")
    fix = _FIXES.get(cause, fix) if cause is not None else fix
    challenge = _REALM
    if reason is not Reason.TOKEN_MISSING:  # RFC 6750, section 3.1: without a token there is no error to name
        challenge += f', error="invalid_token", error_description="{title}"'
    return Problem(
        401,
        reason.value,
        title,
        said,
        fix=fix,
        fix_url=public_url + SIGN_IN_PATH if at_sign_in else "",
        token_kind=TokenKind.SESSION.value,
        token_id=session_id,
        cause=cause.value if cause is not None else None,
        headers={"WWW-Authenticate": challenge},
    )


def deny_role(roles: frozenset[str]) -> Problem:
    """The user's role is not one of those that may."""
    # Wevion's support may nearly everything; whom to ask for it is somebody in the workspace, if anybody there may.
    names = " or ".join(sorted(roles - {SUPPORT}) or ["support admin"])
    return Problem(
        403,
        Denial.FORBIDDEN_ROLE.value,
        "Your role does not allow this",
        f"It needs the role {names}.",
        fix=f"Ask the workspace's {names} to do it." if roles != {SUPPORT} else "Ask Wevion's support to do it.",
    )


def deny_scope(scope: str) -> Problem:
    """Return the service's token lacks the scope (RFC 6750, section 3.1)."""
    return Problem(
        403,
        Denial.INSUFFICIENT_SCOPE.value,
        "The token's scope does not cover this",
        f"It needs the scope {scope}.",
        fix=f"Register the service client with the scope {scope}.",
        headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
    )


def deny_impersonation() -> Problem:
    """Something that only the person may do, not somebody who acts as them."""
    return Problem(
        403,
        Denial.IMPERSONATION_REFUSED.value,
        "Not while acting as somebody else",
        "This call is only for the user in person.",
        fix="Ask the user to do it.",
    )


def deny_kind(*, users: bool) -> Problem:
    """A service called what is for people (`users`), or the other way round."""
    code, whom = (Denial.USERS_ONLY, "signed-in users") if users else (Denial.SERVICES_ONLY, "service clients")
    return Problem(403, code.value, f"This is for {whom} only")
