"""Google OAuth and what all Google APIs answer alike; Ads and Drive add their own codes.

Sources: developers.google.com/identity/protocols/oauth2 (reasons for an end, read 2026-12-01), cloud.google.com/apis/
design/errors (`ErrorInfo`), and recorded answers in the golden file.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from common.contracts import RevocationCause
from common.platforms import rfc6749
from common.platforms.errors import (
    Call,
    Failure,
    Reply,
    believable,
    by_status,
    lost_access,
    our_bug,
    rate_limited,
    reauthorize,
    retry_after_s,
    retry_later,
)
from common.platforms.platform import PossibleCause
from common.platforms.rfc6749 import expired_access

_C = RevocationCause
FAMILY = "google"
TESTING_LIFE = timedelta(days=7)
"""A refresh token's life while the consent screen is in status Testing (protocols/oauth2#expiration)."""

OAUTH: dict[str, Failure] = {
    "admin_policy_enforced": reauthorize(
        "admin_policy_enforced", _C.PLATFORM_ENFORCED, "the Google Workspace admin restricts the service"
    ),
    "deleted_client": our_bug("deleted_client", "Wevion's client was deleted"),
    "disabled_client": our_bug("disabled_client", "Wevion's client is disabled"),
    "org_internal": our_bug("org_internal", "Wevion's project is limited to its own organisation"),
    "redirect_uri_mismatch": our_bug("redirect_uri_mismatch", "Wevion's redirect address"),
    "internal_failure": retry_later("internal_failure", "a fault on Google's side"),
    "rate_limit_exceeded": rate_limited("rate_limit_exceeded", "a rate limit"),
}
RAPT = ("invalid_rapt", "rapt_required")
RAPT_WORDS = "the Google Workspace admin asks for a fresh sign-in; the admin has to trust Wevion"

REASONS: dict[str, Failure] = {
    found.code: found
    for found in (
        expired_access("authError"),
        expired_access("expired", "the access token has expired"),
        expired_access("ACCESS_TOKEN_EXPIRED", "the access token has expired"),
        expired_access("UNAUTHENTICATED"),
        reauthorize("insufficientPermissions", _C.PERMISSION_CHANGED, "the permission was not given"),
        reauthorize("insufficientScopes", _C.PERMISSION_CHANGED, "the permission was not given"),
        reauthorize("ACCESS_TOKEN_SCOPE_INSUFFICIENT", _C.PERMISSION_CHANGED, "the permission was not given"),
        reauthorize("ACCOUNT_STATE_INVALID", None, "the Google account is disabled or gone"),
        rate_limited("rateLimitExceeded", "the rate limit"),
        rate_limited("userRateLimitExceeded", "the user's rate limit"),
        rate_limited("sharingRateLimitExceeded", "the rate limit of sharing"),
        rate_limited("dailyLimitExceeded", "the quota of the day"),
        rate_limited("quotaExceeded", "a quota"),
        rate_limited("RATE_LIMIT_EXCEEDED", "a rate limit"),
        rate_limited("RESOURCE_QUOTA_EXCEEDED", "a quota"),
        lost_access("insufficientFilePermissions", "this file may not be used"),
        lost_access("appNotAuthorizedToFile", "the app may not open this file"),
        lost_access("cannotDownloadFile", "this file may not be downloaded"),
        lost_access("domainPolicy", "the customer's Google Workspace admin forbids it"),
        lost_access("notFound", "the file or object was not found"),
        our_bug("accessNotConfigured", "the API is not switched on in Wevion's project"),
        our_bug("dailyLimitExceededUnreg", "the call was not signed by Wevion's project"),
        our_bug("userRateLimitExceededUnreg", "the call was not signed by Wevion's project"),
        our_bug("required", "no token was sent"),
        our_bug("CREDENTIALS_MISSING", "no token was sent"),
        our_bug("ACCESS_TOKEN_TYPE_UNSUPPORTED", "the wrong kind of token was sent"),
        our_bug("SERVICE_DISABLED", "the API is not switched on in Wevion's project"),
        our_bug("BILLING_DISABLED", "billing of Wevion's project is off"),
        our_bug("CONSUMER_INVALID", "Wevion's project is not known"),
        our_bug("CONSUMER_SUSPENDED", "Wevion's project is suspended"),
        our_bug("USER_PROJECT_DENIED", "Wevion's project may not be used"),
        our_bug("API_KEY_INVALID", "Wevion's API key"),
        our_bug("API_KEY_SERVICE_BLOCKED", "Wevion's API key"),
        our_bug("keyInvalid", "Wevion's API key"),
        our_bug("keyExpired", "Wevion's API key"),
        retry_later("backendError", "a fault on Google's side"),
        retry_later("internalError", "a fault on Google's side"),
        retry_later("INTERNAL", "a fault on Google's side"),
        retry_later("UNAVAILABLE", "a fault on Google's side"),
        rate_limited("RESOURCE_EXHAUSTED", "a quota is used up"),
    )
}
"""`errors[].reason` of the older APIs, `ErrorInfo.reason` and `status` of the newer ones."""

WHY = (
    PossibleCause("a person removed Wevion's access", "Re-authorise, if that was not intended."),
    PossibleCause("the access was not used for six months", "Re-authorise."),
    PossibleCause("the password was changed and a Gmail permission was part of the consent", "Re-authorise."),
    PossibleCause(
        "a Google Workspace admin restricts the service or limits sessions",
        "The admin has to trust Wevion in the Admin console (Security, API controls); a new consent does not last.",
    ),
    PossibleCause("the person gave the access for a limited time", "Re-authorise."),
    PossibleCause(
        "more than 100 consents of this person replaced the oldest", "Re-authorise once, and remove unused ones."
    ),
)
"""developers.google.com/identity/protocols/oauth2#expiration, read 2026-12-01."""


def token_meaning(reply: Reply) -> Failure | None:
    """Return the answer of Google's token, tokeninfo and revocation endpoints.

    `tokeninfo` refuses a dead access token with 400, in older answers by `error_description` alone.
    """
    body, code = reply.object, reply.oauth_error
    nameless = code is None and body.get("error_description") == "Invalid Value"
    if reply.call is Call.API and reply.status in (400, None) and (code == "invalid_token" or nameless):
        return expired_access("invalid_token")
    if code == "invalid_grant" and body.get("error_subtype") in RAPT:
        return believable(reauthorize(f"{code}/{body['error_subtype']}", _C.PLATFORM_ENFORCED, RAPT_WORDS), reply)
    found = OAUTH.get(code or "")
    return believable(found, reply) if found is not None else rfc6749.meaning(reply)


def api_meaning(reply: Reply, codes: Mapping[str, Failure] | None = None) -> Failure | None:
    """Return the answer of a Google API: the most special code that a table knows, else the status.

    Args:
        reply: the answer; `searchStream` wraps its errors in a list of one.
        codes: the product's own codes, which stand before the shared ones.

    Returns:
        The meaning, or None for a success.

    """
    error = reply.error
    if reply.call.for_tokens or (not error and reply.oauth_error is not None):
        return token_meaning(reply)
    for code, wait_s in found_codes(error):
        failure = (codes or {}).get(code) or REASONS.get(code)
        if failure is not None:
            return believable(_waiting(failure, wait_s), reply)
    if "insufficient authentication scopes" in str(error.get("message", "")).lower():
        return believable(REASONS["ACCESS_TOKEN_SCOPE_INSUFFICIENT"], reply)
    status = REASONS.get(str(error.get("status")))
    if status is not None:
        return believable(status, reply)
    if reply.status == 401 or error.get("code") == 401:
        return believable(expired_access("http_401"), reply)
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def quoted(text: str, codes: Mapping[str, Failure]) -> Failure | None:
    """Return a code that stands in a text by its name; the longest one, since names contain each other."""
    for code in sorted(codes, key=len, reverse=True):
        everyday = len(code) < 8 or (code.isalpha() and code.islower())
        if not everyday and re.search(rf"(?<![\w-]){code.lower()}(?![\w-])", text):
            return codes[code]
    if "insufficient authentication scopes" in text:
        return REASONS["ACCESS_TOKEN_SCOPE_INSUFFICIENT"]
    return None


def oauth_quoted(text: str) -> Failure | None:
    """Return the codes of Google's token endpoint in a text."""
    if any(rapt in text for rapt in RAPT):
        return reauthorize("invalid_grant/invalid_rapt", _C.PLATFORM_ENFORCED, RAPT_WORDS)
    for code, failure in OAUTH.items():
        if code in text:
            return failure
    if "invalid authentication credentials" in text or "expected oauth 2 access token" in text:
        return REASONS["UNAUTHENTICATED"]
    if "token has been expired or revoked" in text or "invalid_grant" in text:
        return rfc6749.CODES["invalid_grant"]
    return None


def found_codes(error: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Yield the codes of an error object with the wait that each states, the most special first."""
    for detail in _objects(error.get("details")):
        for item in _objects(detail.get("errors")):
            codes = item.get("errorCode")
            if isinstance(codes, dict):
                yield from ((str(code), _delay(item)) for code in codes.values())
    for detail in _objects(error.get("details")):
        if isinstance(detail.get("reason"), str):
            yield detail["reason"], None
    for item in _objects(error.get("errors")):
        if isinstance(item.get("reason"), str):
            yield item["reason"], None


def _waiting(failure: Failure, wait_s: float | None) -> Failure:
    return failure if wait_s is None else rate_limited(failure.code, failure.words, retry_after_s=wait_s)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _delay(item: Mapping[str, Any]) -> float | None:
    """`retryDelay` of a quota error, a duration such as `85687s`."""
    details = item.get("details")
    quota = details.get("quotaErrorDetails") if isinstance(details, dict) else None
    delay = str(quota.get("retryDelay", "")) if isinstance(quota, dict) else ""
    figure = delay.removesuffix("s")
    return float(figure) if figure.replace(".", "", 1).isdigit() else None
