"""Meta: codes of the Graph API and the Marketing API.

Sources: developers.facebook.com/docs/graph-api/guides/error-handling and the Marketing API's error reference
(both read 2026-12-01); recorded answers of public clients are rows of the golden file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from common.contracts import RevocationCause, TokenKind, Verdict
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
    read_reply,
    reauthorize,
    retry_after_s,
    retry_later,
)
from common.platforms.platform import Connected, Platform, PossibleCause
from common.platforms.rfc6749 import CODE_SPENT

_C = RevocationCause

SUBCODES: dict[int, tuple[RevocationCause | None, bool, str]] = {
    452: (None, False, "the session is not valid"),
    458: (_C.USER_REVOKED, False, "the person removed the app"),
    459: (_C.PLATFORM_ENFORCED, False, "the account is checkpointed: the person has to visit facebook.com first"),
    460: (_C.PASSWORD_CHANGED, False, "the password was changed, or Facebook ended the session for security"),
    461: (None, False, "the app was installed anew"),
    463: (None, True, "the token has expired"),
    464: (_C.PLATFORM_ENFORCED, False, "the account is not confirmed"),
    466: (None, False, "the token was invalidated"),
    467: (None, False, "the token has expired, was revoked or is invalid"),
    468: (_C.PLATFORM_ENFORCED, False, "the app was unused for long"),
    490: (_C.PLATFORM_ENFORCED, False, "the account is in a security check"),
    492: (_C.PERMISSION_CHANGED, False, "the role on the page or business was lost"),
    493: (None, True, "the person has not used the app for 90 days"),
}
"""Subcodes of 190 and 102: cause, whether it ran out, words."""

TEXTS_190 = (
    (r"has not authorized (?:the )?application|removed the app", 458),
    (r"changed (?:their|his|her|the) password|changed the session for security", 460),
    (r"hasn't engaged the app|has not engaged the app", 493),
    (r"session has expired|access token has expired", 463),
    (r"checkpoint|log in at www\.facebook\.com", 459),
    (r"user is not confirmed|not a confirmed user", 464),
)
"""Meta leaves the subcode out at times; these messages say the same (recorded answers)."""

CODES: dict[int, Failure] = {
    int(found.code): found
    for found in (
        retry_later("1", "a fault on Meta's side"),
        retry_later("2", "a fault on Meta's side"),
        retry_later("104", "the connection was reset"),
        retry_later("960", "a batch timed out"),
        rate_limited("4", "the app's rate limit"),
        rate_limited("9", "too many actions"),
        rate_limited("17", "the user's rate limit"),
        rate_limited("18", "a limit of resources"),
        rate_limited("32", "the page's rate limit"),
        rate_limited("341", "the app's limit"),
        rate_limited("613", "the ad account's rate limit"),
        lost_access("10", "a permission was not given or was taken away"),
        lost_access("294", "the permission ads_management is missing"),
        lost_access("368", "blocked for a violation of Meta's policies"),
        lost_access("803", "the object was not found"),
        our_bug("3", "Wevion's app lacks the capability"),
        our_bug("5", "Wevion's address is not allowed"),
        our_bug("11", "a deprecated call"),
        our_bug("12", "a deprecated API version"),
        our_bug("15", "the call has to be signed by the app"),
        our_bug("100", "a parameter of Wevion's call is wrong"),
        our_bug("101", "Wevion's app id or secret"),
        our_bug("191", "Wevion's redirect address"),
        our_bug("270", "Wevion's app has development access only"),
        our_bug("2500", "Wevion's call is malformed"),
        our_bug("2635", "a deprecated API version"),
    )
}
"""Codes without a subcode that matters. 200 to 299 are permissions, 80000 to 80014 use cases' rate limits."""

PERMISSIONS = range(200, 300)
USE_CASES = range(80000, 80015)
OBJECT_GONE = 33
CODE_SUBCODES = frozenset({36007, 36009})
REDIRECT_DIFFERS = 36008

OUR_APP = re.compile(
    r"reviewed and approved|app review|api access (?:blocked|deactivated|disrupted)|capability|advanced access"
    r"|development (?:access|mode)|app (?:is|has been) (?:disabled|deactivated|not active)|appsecret_proof"
    r"|client secret|cannot get application info|valid app id|redirect_uri|redirect uri"
)
"""What is said about our own app under codes that otherwise speak of a person's permission or of trouble."""

CODE_TEXTS = re.compile(r"authorization code (?:has )?(?:been used|expired|been expired)|verification code|code has")
MISSING = re.compile(r"missing permissions?|does not exist|do(?:es)? not have permission|no permission")


def meaning(reply: Reply) -> Failure | None:
    """Classify an answer by its body, whatever the status: an `error` key is a failure, also with 200."""
    reply = _of_batch(reply)
    if reply.error:
        failure = of_error(reply.error, reply.call, wait_s(reply.headers))
        if failure is not None:
            return believable(failure, reply)
        return by_status(reply.status) or retry_later("unknown_code", unrecognised=True)
    if reply.document is None and not reply.refused and "Service Unavailable" in reply.text:
        return retry_later("service_unavailable", "Meta is not available")
    return by_status(reply.status, retry_after_s=retry_after_s(reply.headers))


def of_error(error: Mapping[str, Any], call: Call = Call.API, wait: float | None = None) -> Failure | None:
    """Return the meaning of Meta's error object; None for a code that no row knows.

    Codes decide. The message is read only under the codes that Meta uses for things that differ in whose they are:
    1, 10, 100, 190 and 200 to 299.
    """
    code = number(error.get("code"))
    subcode = number(error.get("error_subcode", error.get("subcode")))
    if code is None:
        return None
    text = " ".join(str(error.get(name) or "") for name in ("message", "error_user_title", "error_user_msg")).lower()
    name = f"{code}/{subcode}" if subcode else str(code)
    if code in {190, 102} and subcode != 99:
        return _ended(name, subcode, text)
    known = _by_text(code, subcode, text, call) or CODES.get(code) or _of_range(code)
    limited = known is not None and known.verdict is Verdict.RATE_LIMITED
    if subcode == 99 or (error.get("is_transient") is True and not limited):
        return retry_later(name, "a fault on Meta's side")
    return None if known is None else replace(known, code=name, retry_after_s=wait if limited else None)


def _by_text(code: int, subcode: int | None, text: str, call: Call) -> Failure | None:
    """Return the codes whose message or subcode says whose fault it is."""
    if call is Call.EXCHANGE and code == 100 and subcode != REDIRECT_DIFFERS:
        spent = subcode in CODE_SUBCODES or (CODE_TEXTS.search(text) and not OUR_APP.search(text))
        return reauthorize("100", None, CODE_SPENT) if spent else CODES[code]
    if (code in {1, 10, 100} or code in PERMISSIONS) and OUR_APP.search(text):
        return our_bug(str(code), "Wevion's app is refused")
    if code == 100 and (subcode == OBJECT_GONE or MISSING.search(text)):
        return lost_access("100", "the object is gone or may not be seen")
    return None


def _of_range(code: int) -> Failure | None:
    if code in PERMISSIONS:
        return lost_access(str(code), "a permission was not given or was taken away")
    return rate_limited(str(code), "a use case's rate limit") if code in USE_CASES else None


def _ended(name: str, subcode: int | None, text: str) -> Failure:
    """Return why a token is not accepted (190, 102): the subcode says it, else the message, else nothing does."""
    if OUR_APP.search(text):
        return our_bug(name, "Wevion's app is refused")
    known = SUBCODES.get(subcode or 0)
    if known is None:
        known = next((SUBCODES[code] for pattern, code in TEXTS_190 if re.search(pattern, text)), None)
    if known is None and re.search(r"permission\(?s?\)? must be granted", text):
        known = (_C.PERMISSION_CHANGED, False, "a permission has to be given before")
    cause, ran_out, words = known or (None, False, "the token is not valid")
    return reauthorize(name, cause, words, ran_out=ran_out)


def wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how long Meta says to wait, in seconds.

    `x-business-use-case-usage` counts minutes, `x-ad-account-usage` seconds (Marketing API, "Rate limiting").
    """
    waits = [retry_after_s(headers) or 0.0]
    for entries in _loads(headers.get("x-business-use-case-usage")).values():
        for entry in entries if isinstance(entries, list) else []:
            minutes = number(entry.get("estimated_time_to_regain_access")) if isinstance(entry, dict) else None
            waits.append((minutes or 0) * 60.0)
    waits.append(float(number(_loads(headers.get("x-ad-account-usage")).get("reset_time_duration")) or 0))
    return max(waits) or None


def _of_batch(reply: Reply) -> Reply:
    """Return the first refused part of a batch: a list of `{code, headers, body}` with the body as a string."""
    if not isinstance(reply.document, list):
        return reply
    for part in reply.document:
        body = part.get("body") if isinstance(part, dict) else None
        status = number(part.get("code")) if isinstance(part, dict) else None
        if isinstance(body, str) and status is not None and status >= 400:
            return read_reply(status, body, reply.headers, reply.call)
    return reply


def _loads(value: str | None) -> dict[str, Any]:
    try:
        data = json.loads(value or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def shape(reply: Reply) -> bool:
    """Return an error object with Meta's trace id or one of its exception types."""
    return "fbtrace_id" in reply.error or str(reply.error.get("type")) in {"OAuthException", "GraphMethodException"}


QUOTED_CODE = re.compile(r"\(#(\d{1,5})\)|\b(?:error )?code\W{1,4}(\d{1,5})\b|\boauthexception\W{1,3}(\d{1,5})\b")
QUOTED_SUBCODE = re.compile(r"sub_?code\W{1,4}(\d{2,7})|\b(?:190|100|102)/(\d{2,5})\b")
PHRASES = (
    (r"error validating access token|session has been invalidated", 190),
    (r"access token (?:has expired|could not be decrypted)", 190),
    (r"invalid oauth(?: 2\.0)? access token|has not authorized (?:the )?application|malformed access token", 190),
    (
        r"hasn't engaged the app|oauthexception|user checkpointed|log in (?:at|to) (?:www\.)?facebook\.com to correct",
        190,
    ),
    (r"permission\(?s?\)? must be granted", 190),
    (r"user request limit reached", 17),
    (r"application request limit reached", 4),
    (r"too many calls (?:from|to) this ad[- ]?account", 613),
    (r"does not have the capability", 3),
    (r"error validating client secret", 1),
    (r"error validating application", 101),
    (r"missing permissions?|unsupported get request", 100),
    (r"has not granted? ads_|requires? [a-z_]+ permission|requires? an access token with", 200),
    (r"deprecated version of the ads api", 2635),
)


def quoted(text: str) -> Failure | None:
    """`(#190)`, `code 190`, `error_subcode: 460`, or one of Meta's fixed phrases."""
    subcode = next((int(found) for match in QUOTED_SUBCODE.finditer(text) for found in match.groups() if found), None)
    codes = [int(found) for match in QUOTED_CODE.finditer(text) for found in match.groups() if found]
    if match := re.search(r"\b(190|100|102)/\d{2,5}\b", text):
        codes.append(int(match[1]))
    codes += [code for pattern, code in PHRASES if re.search(pattern, text)]
    if not codes and subcode in SUBCODES:
        codes = [190]  # a subcode is quoted without its code
    for code in codes:
        failure = of_error({"code": code, "error_subcode": subcode, "message": text})
        if failure is not None:
            return failure
    return None


META = Platform(
    provider="meta",
    title="Meta",
    kind=TokenKind.PLATFORM_OAUTH,
    connected=Connected.CONSENT,
    names=re.compile(r"\bmeta\b|oauthexception|facebook|instagram|\bfb\b|fbtrace_id|graph\.facebook|\bact_\d+"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    reasons=(
        PossibleCause(
            "the person removed Wevion from Business integrations", "Re-authorise, if that was not intended."
        ),
        PossibleCause("the password was changed, or Meta ended the session for security", "Re-authorise."),
        PossibleCause(
            "Meta asks the person to confirm the account", "Sign in at facebook.com first, then re-authorise."
        ),
    ),
    input_codes=frozenset({"100"}),
    api_version="v26.0",
    sunsets={
        "v23.0": date(2026, 6, 9),
        "v24.0": date(2026, 11, 10),
        "v25.0": date(2027, 2, 23),
    },
)
