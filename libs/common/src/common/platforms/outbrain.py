"""Outbrain Amplify: statuses; the wait after a limit is in `rate-limit-msec-left`.

Source: amplifyv01.docs.apiary.io (authentication, rate limits), read 2026-12-01.
"""

import re
from collections.abc import Mapping

from common.contracts import TokenKind
from common.platforms.errors import (
    Call,
    Failure,
    Reply,
    by_status,
    lost_access,
    rate_limited,
    reauthorize,
    retry_after_s,
    seconds_of,
)
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import expired_access


def meaning(reply: Reply) -> Failure | None:
    """401 is the password at the login, and the token everywhere else."""
    if reply.status == 429:
        return rate_limited("http_429", "the limit of calls or logins", retry_after_s=wait_s(reply.headers))
    if reply.status == 401:
        if reply.call.for_tokens:
            return reauthorize("login_401", None, "the user name or password is no longer accepted")
        return expired_access("http_401", "the login token is not accepted")
    if reply.status in {403, 404} and reply.call is Call.API:
        return lost_access(f"http_{reply.status}", "the account may not be used")
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def wait_s(headers: Mapping[str, str]) -> float | None:
    """`rate-limit-msec-left` counts milliseconds, at times with a fraction."""
    left = seconds_of(headers.get("rate-limit-msec-left"))
    return retry_after_s(headers) if left is None else left / 1000


def shape(reply: Reply) -> bool:
    """Return its two members, or the name of its header."""
    return {"moreInfo", "errorMessage"} <= reply.object.keys() or "OB-TOKEN-V1" in reply.text.upper()


def quoted(text: str) -> Failure | None:
    """Return the names of its headers."""
    if "rate-limit-msec-left" in text:
        return rate_limited("http_429", "the limit of calls or logins")
    return expired_access("http_401", "the login token is not accepted") if "ob-token-v1" in text else None


OUTBRAIN = Platform(
    provider="outbrain",
    title="Outbrain",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CREDENTIALS,
    names=re.compile(r"outbrain|\bob-token-v1\b|\bamplify\b"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause("the user's password or e-mail was changed, which ends all tokens", "Enter the new credentials."),
        PossibleCause("the user was disabled", "Ask Outbrain's support, or enter another user's credentials."),
    ),
)
