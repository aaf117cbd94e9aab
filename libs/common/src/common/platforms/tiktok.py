"""TikTok for Business: the `code` of the envelope, whatever the HTTP status.

Source: business-api.tiktok.com/portal/docs?id=1737172488964097, the official table of return codes as published on
2026-08-13. Codes of single features (files, creatives, catalogues) are about the request and are left out.
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
    number,
    our_bug,
    rate_limited,
    reauthorize,
    retry_after_s,
    retry_later,
    unknown_outcome,
)
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import CODE_SPENT, expired_access

_C = RevocationCause
_OURS = "Wevion's request or set-up at TikTok"

CODES: dict[int, Failure] = {
    int(found.code): found
    for found in (
        replace(expired_access("40102", "the access token has expired"), ran_out=True),
        reauthorize("40103", None, "the refresh token has expired", ran_out=True),
        reauthorize("40105", None, "the access token is incorrect or was revoked"),
        reauthorize("40106", None, "the user is not valid"),
        reauthorize("40107", None, "the refresh token is not valid"),
        reauthorize("40110", None, CODE_SPENT),
        reauthorize("40114", None, "the advertiser logged out"),
        reauthorize("40115", None, CODE_SPENT),
        reauthorize("40130", _C.PERMISSION_CHANGED, "a permission was not given"),
        reauthorize("40309", _C.PLATFORM_ENFORCED, "TikTok asks for a new sign-in"),
        rate_limited("40016", "requests come too often"),
        rate_limited("40100", "requests come too often"),
        rate_limited("40132", "requests come too often"),
        rate_limited("40133", "requests for this advertiser come too often"),
        rate_limited("61000", "requests come too often"),
        lost_access("40001", "this advertiser or permission was not given"),
        lost_access("40003", "access is forbidden"),
        lost_access("40119", "the advertiser belongs to another company"),
        lost_access("40300", "the advertiser does not exist"),
        lost_access("40301", "the advertiser does not match"),
        our_bug("40000", _OURS),
        our_bug("40002", _OURS),
        our_bug("40006", "an API version that does not fit"),
        our_bug("40008", "a call that does not exist"),
        our_bug("40010", "a wrong address of the API"),
        our_bug("40051", "an API version that is not valid"),
        our_bug("40101", "Wevion's app id or secret"),
        our_bug("40104", "no token was sent"),
        our_bug("40108", _OURS),
        our_bug("40109", _OURS),
        our_bug("40112", _OURS),
        our_bug("40113", "Wevion's app is blocked or unknown"),
        our_bug("40116", _OURS),
        our_bug("40117", _OURS),
        our_bug("40118", "Wevion's app is not on the list for this feature"),
        our_bug("40124", "Wevion's developer profile is not approved"),
        our_bug("40125", "Wevion's app lacks a permission"),
        our_bug("41000", "Wevion's address is in a country that is not allowed"),
        our_bug("41001", "a call that is no longer served"),
        our_bug("41002", _OURS),
        unknown_outcome("20001", "only a part was done"),
        retry_later("40200", "a task failed on TikTok's side"),
        retry_later("40201", "a task is not ready"),
        retry_later("40202", "two writes collided"),
        retry_later("40700", "a fault on TikTok's side"),
        retry_later("60001", "maintenance at TikTok"),
    )
}


def meaning(reply: Reply) -> Failure | None:
    """Return the `code` decides; TikTok's table says that it stands before the HTTP status."""
    code = number(reply.object.get("code"))
    if code is None:
        return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))
    if code == 0:
        return None
    return believable(of_code(code, reply) or retry_later(str(code), unrecognised=True), reply)


def of_code(code: int, reply: Reply) -> Failure | None:
    """Return the meaning of one code; None for a code that no row knows.

    40101 stands for a wrong secret and for an old code of a consent; only the message tells them apart.
    """
    if code == 40101 and "auth_code" in str(reply.object.get("message", "")).lower():
        return reauthorize("40101", None, CODE_SPENT)
    if code == 40102 and reply.call is Call.REFRESH:
        return replace(CODES[code], refresh_first=False)
    if 50000 <= code <= 59999:
        return retry_later(str(code), "a fault on TikTok's side")
    return CODES.get(code)


def shape(reply: Reply) -> bool:
    """Return the envelope: a numeric `code` of five digits with `message`."""
    code = number(reply.object.get("code"))
    return code is not None and 20000 <= code <= 69999 and "message" in reply.object


PHRASES = (
    (r"access token is incorrect or has been revoked|access token is invalid", 40105),
    (r"reaches? (?:the )?qps limit", 40133),
    (r"advertiser does not grant you|advertiser .{0,40}(?:doesn't exist or has been deleted)", 40001),
    (r"access token is null", 40104),
)


def quoted(text: str) -> Failure | None:
    """Return a known code of five digits, or one of TikTok's fixed phrases."""
    codes = [int(code) for code in re.findall(r"(?<![\w.])([2456]\d{4})(?!\w)", text)]
    codes += [code for pattern, code in PHRASES if re.search(pattern, text)]
    reply = Reply(None, {"message": text})
    return next((found for code in codes if (found := of_code(code, reply)) is not None), None)


TIKTOK = Platform(
    provider="tiktok",
    title="TikTok",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CONSENT,
    names=re.compile(r"tik ?tok"),
    meaning=meaning,
    input_codes=frozenset({"40000", "40002"}),
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause(
            "the advertiser removed Wevion from the connected partners", "Re-authorise, if that was not intended."
        ),
        PossibleCause("a newer authorisation replaced this one", "Re-authorise once."),
    ),
)
