"""Taboola Backstage: JSON with `http_status`, and XML from the token endpoint.

Source: developers.taboola.com/backstage-api/reference (errors, client credentials flow), read 2026-12-01.
"""

import re

from common.contracts import TokenKind
from common.platforms.errors import (
    Failure,
    Reply,
    believable,
    by_status,
    lost_access,
    number,
    our_bug,
    reauthorize,
    retry_after_s,
)
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import expired_access


def meaning(reply: Reply) -> Failure | None:
    """Return the token endpoint answers by OAuth's codes, as XML or JSON; the API by the status."""
    code, wait_s = reply.oauth_error, retry_after_s(reply.headers)
    status = reply.status if reply.status is not None else number(reply.object.get("http_status"))
    if code in {"invalid_client", "unauthorized_client", "invalid_grant"}:  # the customer's own client, not ours
        return believable(reauthorize(code, None, "the client id or secret is no longer accepted"), reply)
    if reply.call.for_tokens:
        if code is not None and status in {400, 401}:
            return our_bug(code[:40], "Wevion's request is malformed")
        if status == 403 and "<html" in reply.text[:512].lower():
            return our_bug("csrf_page", "Wevion's request is malformed")
        return by_status(status, retry_after_s=wait_s)
    if status == 401 or (status is None and code == "unauthorized"):
        return expired_access("http_401")
    if status in {403, 404}:
        return lost_access(f"http_{status}", "the account or object may not be used")
    return by_status(status, retry_after_s=wait_s)


def shape(reply: Reply) -> bool:
    """`http_status` beside a message, or the name of one of its XML errors."""
    return "http_status" in reply.object or "<BadClientCredentials" in reply.text or "<UnauthorizedEx" in reply.text


def quoted(text: str) -> Failure | None:
    """Return the codes of its token endpoint."""
    if "badclientcredentials" in text or "bad client credentials" in text or "invalid_client" in text:
        return reauthorize("invalid_client", None, "the client id or secret is no longer accepted")
    return None


TABOOLA = Platform(
    provider="taboola",
    title="Taboola",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CREDENTIALS,
    names=re.compile(r"taboola|backstage"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause(
            "Taboola withdrew the client or changed its secret", "Ask the account manager for the present one."
        ),
    ),
)
