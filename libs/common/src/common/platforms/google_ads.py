"""Google Ads: codes of `GoogleAdsFailure` (google-ads-python v26, errors/types; read 2026-12-01)."""

import re
from datetime import date

from common.contracts import RevocationCause, TokenKind
from common.platforms import google
from common.platforms.errors import (
    Failure,
    Reply,
    lost_access,
    our_bug,
    rate_limited,
    reauthorize,
    retry_later,
)
from common.platforms.platform import Connected, Platform
from common.platforms.rfc6749 import expired_access

_C = RevocationCause

CODES: dict[str, Failure] = {
    found.code: found
    for found in (
        # authentication_error
        expired_access("OAUTH_TOKEN_EXPIRED", "the access token has expired"),
        expired_access("OAUTH_TOKEN_INVALID", "the token is not valid"),
        expired_access("OAUTH_TOKEN_REVOKED", "the token was revoked"),
        expired_access("OAUTH_TOKEN_DISABLED", "the token is disabled"),
        expired_access("AUTHENTICATION_ERROR"),
        expired_access("GOOGLE_ACCOUNT_AUTHENTICATION_FAILED", "the Google account could not be authenticated"),
        reauthorize("GOOGLE_ACCOUNT_DELETED", None, "the Google account is gone"),
        reauthorize("NOT_ADS_USER", _C.PERMISSION_CHANGED, "this Google user has no Ads account"),
        reauthorize(
            "TWO_STEP_VERIFICATION_NOT_ENROLLED",
            _C.PLATFORM_ENFORCED,
            "two-step verification must be switched on in the Google account",
        ),
        reauthorize(
            "ADVANCED_PROTECTION_NOT_ENROLLED",
            _C.PLATFORM_ENFORCED,
            "Advanced Protection must be switched on in the Google account",
        ),
        lost_access("CUSTOMER_NOT_FOUND", "this customer does not exist"),
        our_bug("CLIENT_CUSTOMER_ID_INVALID", "Wevion's call names no valid customer"),
        our_bug("OAUTH_TOKEN_HEADER_INVALID", "Wevion's call is malformed"),
        our_bug("ORGANIZATION_NOT_RECOGNIZED", "Wevion's organisation is not known"),
        our_bug("ORGANIZATION_NOT_APPROVED", "Wevion's organisation is not approved"),
        our_bug("ORGANIZATION_NOT_ASSOCIATED_WITH_DEVELOPER_TOKEN", "Wevion's organisation"),
        our_bug("DEVELOPER_TOKEN_INVALID", "Wevion's developer token"),
        # authorization_error
        lost_access("USER_PERMISSION_DENIED", "the user may not use this customer"),
        lost_access("CUSTOMER_NOT_ENABLED", "the customer is not active"),
        lost_access("ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT", "the account is suspended"),
        lost_access(
            "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
            "the manager account no longer leads to this customer",
        ),
        lost_access("AUTHORIZATION_ERROR", "the user may not use this customer"),
        lost_access("ACTION_NOT_PERMITTED", "the user may not do this here"),
        lost_access("INCOMPLETE_SIGNUP", "the customer's sign-up is not complete"),
        lost_access("SERVICE_ACCESS_DENIED", "the customer may not use this service"),
        lost_access("ACCESS_DENIED_FOR_ACCOUNT_TYPE", "this kind of account cannot be used"),
        lost_access("METRIC_ACCESS_DENIED", "the metric may not be read"),
        our_bug("DEVELOPER_TOKEN_NOT_ON_ALLOWLIST", "Wevion's developer token"),
        our_bug("DEVELOPER_TOKEN_NOT_APPROVED", "Wevion's developer token"),
        our_bug("DEVELOPER_TOKEN_PROHIBITED", "Wevion's developer token"),
        our_bug("PROJECT_DISABLED", "Wevion's Cloud project is disabled"),
        our_bug("MISSING_TOS", "terms of service that Wevion has to accept"),
        our_bug("CLOUD_PROJECT_NOT_UNDER_ORGANIZATION", "Wevion's Cloud project"),
        our_bug("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", "Wevion's Cloud project"),
        our_bug("ACCESS_PROHIBITED", "Wevion's project is not admitted"),
        our_bug("UNSUPPORTED_VERSION", "a version of the API that is no longer served"),
        our_bug("INVALID_LOGIN_CUSTOMER_ID", "Wevion's call names no valid manager"),
        # quota_error, internal_error
        rate_limited("RESOURCE_EXHAUSTED", "a quota is used up"),
        rate_limited("RESOURCE_TEMPORARILY_EXHAUSTED", "a quota is used up for now"),
        rate_limited("EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION", "queries used up the short-term limit"),
        rate_limited("EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION", "queries used up the long-term limit"),
        retry_later("INTERNAL_ERROR", "a fault on Google's side"),
        retry_later("TRANSIENT_ERROR", "a fault on Google's side"),
        retry_later("DEADLINE_EXCEEDED", "a time-out on Google's side"),
    )
}
_OURS = re.compile(r"^(?:DEVELOPER_TOKEN_|CLOUD_PROJECT_|ORGANIZATION_NOT_)")


def meaning(reply: Reply) -> Failure | None:
    """Classify by the codes in `error.details[].errors[].errorCode`, then by what all Google APIs share."""
    for code, _ in google.found_codes(reply.error):
        if code not in CODES and _OURS.match(code):
            return our_bug(code, "Wevion's own set-up at Google")
    return google.api_meaning(reply, CODES)


def shape(reply: Reply) -> bool:
    """Details of the type `GoogleAdsFailure`, or codes that only it has."""
    details = str(reply.error.get("details", ""))
    return "googleads" in details or "errorCode" in details


def quoted(text: str) -> Failure | None:
    """Return one of its codes by name."""
    return google.quoted(text, {**google.REASONS, **CODES})


GOOGLE_ADS = Platform(
    provider="google-ads",
    title="Google Ads",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CONSENT,
    names=re.compile(r"google ?ads|googleads|adwords|developer[- ]token|login-customer-id|google-ads|ads\.google"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    family=google.FAMILY,
    testing_life=google.TESTING_LIFE,
    reasons=google.WHY,
    api_version="v25",
    sunsets={"v25": date(2027, 8, 1)},
)
