"""Stripe Connect: `error` is a string at the OAuth endpoints and an object at the API.

Sources: docs.stripe.com/connect/oauth-reference, docs.stripe.com/error-codes (read 2026-12-01), and the fixtures of
stripe-node and stripe-ruby.
"""

import re
from dataclasses import replace

from common.contracts import RevocationCause, TokenKind
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
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import CODE_SPENT

_C = RevocationCause

CODES: dict[str, Failure] = {
    found.code: found
    for found in (
        reauthorize("account_invalid", _C.USER_REVOKED, "the account's owner removed Wevion"),
        reauthorize("api_key_expired", None, "the connection's key has expired"),
        rate_limited("rate_limit", "too many requests"),
        retry_later("lock_timeout", "the object is in use"),
        retry_later("idempotency_key_in_use", "the same request is under way"),
        lost_access("more_permissions_required", "the connection lacks a permission"),
        lost_access("resource_missing", "the object does not exist"),
        our_bug("platform_api_key_expired", "Wevion's own key has expired"),
        our_bug("platform_account_required", "Wevion's set-up as a platform"),
        our_bug("secret_key_required", "Wevion's call used the wrong key"),
        our_bug("livemode_mismatch", "Wevion's call mixed test and live"),
        our_bug("api_key_invalid", "Wevion's key"),
    )
}
NOT_CONNECTED = "not connected to stripe account"


def meaning(reply: Reply) -> Failure | None:
    """`Stripe-Should-Retry` stands over the status: `false` on a 5xx asks for a look, not for another try soon."""
    oauth = reply.oauth_error is not None or reply.call is not Call.API
    failure = _oauth(reply) if oauth else _api(reply)
    told = reply.headers.get("stripe-should-retry")
    if failure is None or told is None or not failure.code.startswith("http_"):
        return failure
    if told == "true":
        return retry_later(failure.code, retry_after_s=failure.retry_after_s)
    return replace(failure, unrecognised=True)


def already_disconnected(reply: Reply) -> bool:
    """Return whether a deauthorisation was refused because the account is not connected any more.

    `invalid_client` alone does not say so: a wrong key of ours is answered with the same code.
    """
    said = str(reply.object.get("error_description", "")).lower()
    return reply.oauth_error == "invalid_client" and NOT_CONNECTED in said


def _oauth(reply: Reply) -> Failure | None:
    code, wait_s = reply.oauth_error, retry_after_s(reply.headers)
    if already_disconnected(reply):
        return believable(reauthorize("not_connected", None, "the account is not connected"), reply)
    if code == "invalid_grant":
        words = CODE_SPENT if reply.call is Call.EXCHANGE else "the grant is no longer accepted"
        return believable(reauthorize(code, None, words), reply)
    if code == "rate_limit":
        return rate_limited(code, "too many requests", retry_after_s=wait_s)
    if code is not None and reply.status in {400, 401, 403, None}:
        return our_bug(code[:40], "Wevion's request or key is refused")
    return by_status(reply.status, retry_after_s=wait_s)


def _api(reply: Reply) -> Failure | None:
    error = reply.error
    text = str(error.get("message", "")).lower()
    if (known := CODES.get(str(error.get("code")))) is not None:
        return believable(known, reply)
    if "only stripe connect platforms" in text or "did not provide an api key" in text:
        return our_bug("platform_only" if "connect platforms" in text else "no_key", "Wevion's set-up as a platform")
    if reply.status == 403 and "does not have access to account" in text:
        return CODES["account_invalid"]
    if reply.status == 401 and error and error.get("code") is None:  # another code, or none of Stripe's: unknown
        return reauthorize("http_401", None, "the connection's key is not accepted")
    if reply.status == 403 and "permission" in text:
        return lost_access("http_403", "the connection lacks a permission")
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def shape(reply: Reply) -> bool:
    """Return an error object of Stripe's types, or words that name it."""
    kind = str(reply.error.get("type"))
    stripe = "stripe" in f"{reply.error.get('doc_url')} {reply.error.get('message')}".lower()
    return stripe or kind in TYPES or NOT_CONNECTED in reply.text.lower()


TYPES = frozenset({"invalid_request_error", "card_error", "idempotency_error", "rate_limit_error"})
PHRASES = (
    (r"does not have access to account|application access may have been revoked|account\.application\.deauthorized",
     CODES["account_invalid"]),
    (NOT_CONNECTED, reauthorize("not_connected", None, "the account is not connected")),
    (r"authorization code has already been used|authorization code expired", reauthorize("code", None, CODE_SPENT)),
    (r"(?:invalid|expired) api key|no such api key", our_bug("api_key", "Wevion's key is refused")),
)  # fmt: skip


def quoted(text: str) -> Failure | None:
    """Return one of its codes by name, or one of its fixed phrases."""
    named = (code for code in CODES if "_" in code and re.search(rf"(?<![\w-]){code}(?![\w-])", text))
    found = next((CODES[code] for code in named), None)
    return found or next((failure for pattern, failure in PHRASES if re.search(pattern, text)), None)


STRIPE = Platform(
    provider="stripe",
    title="Stripe",
    kind=TokenKind.INTEGRATION,
    connected=Connected.CONSENT,
    names=re.compile(r"stripe|\bacct_\w+|\b[sr]k_(?:live|test)"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause("the account's owner removed Wevion in the dashboard", "Re-authorise, if that was not intended."),
        PossibleCause("the account was closed or restricted by Stripe", "Look into the Stripe dashboard first."),
    ),
)
