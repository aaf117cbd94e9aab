"""Snapchat Marketing API: OAuth codes at the token endpoint, statuses and `error_code` (E3002 …) at the API.

Sources: developers.snap.com/api/marketing-api (authentication, response codes), singer-io/tap-snapchat-ads `client.py`.
"""

import re

from common.contracts import TokenKind
from common.platforms import rfc6749
from common.platforms.errors import Failure, Reply, by_status, lost_access, retry_after_s
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import expired_access

CODES: dict[str, Failure] = {
    "E3002": expired_access("E3002", "the access token is not valid"),
    "E3003": lost_access("E3003", "the object is gone or may not be seen"),
}


def meaning(reply: Reply) -> Failure | None:
    """Codes of the body first, then the status."""
    if reply.call.for_tokens or reply.oauth_error is not None:
        return rfc6749.meaning(reply)
    code = str(reply.object.get("error_code") or "").upper()
    if reply.status == 401 or (reply.status is None and code == "E3002"):
        return expired_access(code or "http_401")
    if reply.status in {403, 404, 410} or (reply.status is None and code in CODES):
        return CODES.get(code) or lost_access(f"http_{reply.status}", "the object is gone or may not be seen")
    if reply.status is None and str(reply.object.get("msg", "")).lower() == "unauthorized":
        return expired_access("unauthorized")
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def shape(reply: Reply) -> bool:
    """Return the envelope of the Ads API."""
    return "request_status" in reply.object


def quoted(text: str) -> Failure | None:
    """Return one of its codes, or OAuth's."""
    found = next((failure for code, failure in CODES.items() if code.lower() in text), None)
    return found or next((failure for code, failure in rfc6749.CODES.items() if code in text), None)


SNAPCHAT = Platform(
    provider="snapchat",
    title="Snapchat",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CONSENT,
    names=re.compile(r"\bsnap(?:chat)?\b"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause("a person removed Wevion from the connected apps", "Re-authorise, if that was not intended."),
        PossibleCause("the refresh token was replaced or withdrawn", "Re-authorise."),
    ),
)
