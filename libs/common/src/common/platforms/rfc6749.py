"""The codes of RFC 6749 sections 5.2 and 4.1.2.1, and what a consent screen's `error` means."""

from common.contracts import RevocationCause, Verdict
from common.platforms.errors import (
    Call,
    Failure,
    Reply,
    believable,
    by_status,
    our_bug,
    rate_limited,
    reauthorize,
    retry_after_s,
    retry_later,
)

CODE_SPENT = "the code of the consent was used or has expired: start again"

CODES: dict[str, Failure] = {
    "invalid_grant": reauthorize("invalid_grant", None, "the grant is no longer accepted"),
    "invalid_client": our_bug("invalid_client", "Wevion's client is refused"),
    "unauthorized_client": our_bug("unauthorized_client", "Wevion's client may not do this"),
    "invalid_request": our_bug("invalid_request", "Wevion's request is malformed"),
    "unsupported_grant_type": our_bug("unsupported_grant_type", "Wevion's request is malformed"),
    "unsupported_response_type": our_bug("unsupported_response_type", "Wevion's request is malformed"),
    "invalid_scope": our_bug("invalid_scope", "Wevion asks for a scope that does not exist"),
    "access_denied": reauthorize("access_denied", RevocationCause.PERMISSION_CHANGED, "access was denied"),
    "temporarily_unavailable": retry_later("temporarily_unavailable", "it is not available for now"),
    "server_error": retry_later("server_error", "a fault on its side"),
    "slow_down": rate_limited("slow_down", "too many requests"),
}
"""The answers of a token endpoint. `invalid_grant` names no reason (RFC 6749 section 5.2), so it has no cause."""

DENIALS = frozenset({"access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize"})
"""Consent errors that are the person's own no (RFC 6749 section 4.1.2.1, and two platforms' own words for it)."""


def callback_verdict(error: str, reason: str = "") -> Verdict | None:
    """Return whose an `error` in the consent's callback is: None is the person's own no (RFC 6749 section 4.1.2.1).

    Args:
        error: the parameter `error`.
        reason: Meta's `error_reason`, which is `user_denied` when the person declined.

    Returns:
        None for a person's no, `retry_later` for a passing fault of the platform, else `our_bug`.

    """
    if error in DENIALS or reason in DENIALS:
        return None
    if error in {"server_error", "temporarily_unavailable"}:
        return Verdict.RETRY_LATER
    return Verdict.OUR_BUG


def meaning(reply: Reply) -> Failure | None:
    """Return the answer of a server that follows the RFCs.

    At an API, 401 is about the access token and not about the grant (RFC 6750 section 3.1).
    """
    code = reply.oauth_error
    if code is not None and (found := CODES.get(code)) is not None:
        if reply.call is Call.API and reply.status == 401:
            return expired_access(code)
        return believable(found, reply)
    if reply.status == 401 and not reply.call.for_tokens:
        return expired_access("http_401")
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def expired_access(code: str, words: str = "the access token is not accepted") -> Failure:
    """The access token is over; whether the grant is, one refresh tells."""
    return reauthorize(code, None, words, refresh_first=True)
