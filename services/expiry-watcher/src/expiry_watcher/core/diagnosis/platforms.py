"""How each platform says what (see "Errors and what to do" per provider). Codes before texts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common.contracts import RevocationCause, TokenKind, provider_title
from expiry_watcher.core.diagnosis.evidence import FAIR, STRONG, Evidence, Problem
from expiry_watcher.core.diagnosis.signals import Signals

_P, _C = Problem, RevocationCause

PLATFORMS = ("meta", "google-ads", "tiktok", "taboola", "snapchat", "outbrain")
INTEGRATIONS = ("stripe", "google-drive")

NAMES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (provider, re.compile(pattern))
    for provider, pattern in (
        ("meta", r"\bmeta\b|facebook|instagram|\bfb\b|fbtrace_id|graph\.facebook|\bact_\d+"),
        ("google-ads", r"google ?ads|googleads|adwords|developer[- ]token|login-customer-id|google-ads"),
        ("google-drive", r"google ?drive|googledrive|drive/v3|\bgdrive\b|google-drive|drive\.google"),
        ("tiktok", r"tik ?tok"),
        ("taboola", r"taboola|backstage"),
        ("snapchat", r"\bsnap(?:chat)?\b|adsapi\.snapchat"),
        ("outbrain", r"outbrain|\bob-token-v1\b|\bamplify\b"),
        ("stripe", r"stripe|\bacct_\w+|\bsk_(?:live|test)"),
        ("telegram", r"telegram|\bt\.me/|\bbot(?:father)?\b"),
    )
)
"""How texts name a provider."""


def kind_of(provider: str) -> TokenKind:
    """The kind of token that a provider's connections are. A provider we have no table for is a platform."""
    if provider in INTEGRATIONS:
        return TokenKind.INTEGRATION
    if provider == "telegram":
        return TokenKind.TELEGRAM_LINK
    if provider == "wevion":
        return TokenKind.SESSION
    return TokenKind.PLATFORM_OAUTH


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code or text of a platform means."""

    problem: Problem
    words: str
    cause: RevocationCause | None = None


_META_SUBCODES = {
    458: Meaning(_P.REAUTHORIZE, "the user removed the app", _C.USER_REVOKED),
    459: Meaning(_P.REAUTHORIZE, "the account is checkpointed: visit facebook.com first", _C.PLATFORM_ENFORCED),
    460: Meaning(_P.REAUTHORIZE, "the password was changed", _C.PASSWORD_CHANGED),
    461: Meaning(_P.REAUTHORIZE, "the app was installed anew", _C.USER_REVOKED),
    463: Meaning(_P.REAUTHORIZE, "the token has expired"),
    464: Meaning(_P.REAUTHORIZE, "the account is not confirmed", _C.PLATFORM_ENFORCED),
    466: Meaning(_P.REAUTHORIZE, "the token was invalidated", _C.USER_REVOKED),
    467: Meaning(_P.REAUTHORIZE, "the token is invalid: the person logged out", _C.USER_REVOKED),
    468: Meaning(_P.REAUTHORIZE, "the app was unused for long", _C.PLATFORM_ENFORCED),
    492: Meaning(_P.REAUTHORIZE, "the role on the page or business was lost", _C.PERMISSION_CHANGED),
}
_META_CODES = {
    190: Meaning(_P.REAUTHORIZE, "the token is not valid"),
    102: Meaning(_P.REAUTHORIZE, "the API login has ended"),
    1: Meaning(_P.RETRY_LATER, "a fault on Meta's side"),
    2: Meaning(_P.RETRY_LATER, "a fault on Meta's side"),
    104: Meaning(_P.RETRY_LATER, "the connection was reset"),
    960: Meaning(_P.RETRY_LATER, "a batch timed out"),
    4: Meaning(_P.RATE_LIMITED, "the app's rate limit"),
    17: Meaning(_P.RATE_LIMITED, "the user's rate limit"),
    32: Meaning(_P.RATE_LIMITED, "the page's rate limit"),
    613: Meaning(_P.RATE_LIMITED, "the ad account's rate limit"),
    3: Meaning(_P.ACCOUNT_LOST_ACCESS, "a capability is missing"),
    10: Meaning(_P.ACCOUNT_LOST_ACCESS, "a permission is missing"),
    100: Meaning(_P.ACCOUNT_LOST_ACCESS, "the object is gone or not visible"),
    368: Meaning(_P.ACCOUNT_LOST_ACCESS, "blocked for a violation of Meta's policies"),
    803: Meaning(_P.ACCOUNT_LOST_ACCESS, "the object was not found"),
    2635: Meaning(_P.OUR_BUG, "a deprecated API version"),
}
_META_TEXTS = (
    (r"error validating access token|session has been invalidated|access token (?:has expired|is invalid)", 190, None),
    (r"has not authorized application|user (?:has )?removed the app", 190, 458),
    (r"session has expired on", 190, 463),
    (r"changed (?:his|her|their|the) password|changed the session for security", 190, 460),
    (r"user request limit reached|\(#17\)", 17, None),
    (r"application request limit reached|\(#4\)", 4, None),
    (r"too many calls (?:from|to) this ad[- ]?account|\(#80004\)|\(#613\)", 613, None),
    (r"\(#(?:2[0-9]{2}|10)\)|ads_(?:management|read) permission|requires? (?:the )?ads_", 10, None),
    (r"\(#190\)", 190, None),
)

_GOOGLE_ADS = {
    "OAUTH_TOKEN_EXPIRED": Meaning(_P.REAUTHORIZE, "the access token has expired and was not refreshed"),
    "OAUTH_TOKEN_INVALID": Meaning(_P.REAUTHORIZE, "the token is not valid"),
    "OAUTH_TOKEN_REVOKED": Meaning(_P.REAUTHORIZE, "the token was revoked", _C.USER_REVOKED),
    "OAUTH_TOKEN_DISABLED": Meaning(_P.REAUTHORIZE, "the token is disabled", _C.PLATFORM_ENFORCED),
    "GOOGLE_ACCOUNT_DELETED": Meaning(_P.REAUTHORIZE, "the Google account is gone", _C.USER_REVOKED),
    "NOT_ADS_USER": Meaning(_P.REAUTHORIZE, "this Google user has no Ads account"),
    "TWO_STEP_VERIFICATION_NOT_ENROLLED": Meaning(
        _P.REAUTHORIZE, "two-step verification must be switched on in the Google account", _C.PLATFORM_ENFORCED
    ),
    "ADVANCED_PROTECTION_NOT_ENROLLED": Meaning(
        _P.REAUTHORIZE, "Advanced Protection must be switched on in the Google account", _C.PLATFORM_ENFORCED
    ),
    "CUSTOMER_NOT_FOUND": Meaning(_P.ACCOUNT_LOST_ACCESS, "this customer does not exist"),
    "USER_PERMISSION_DENIED": Meaning(_P.ACCOUNT_LOST_ACCESS, "the user may not use this customer"),
    "CUSTOMER_NOT_ENABLED": Meaning(_P.ACCOUNT_LOST_ACCESS, "the customer is not active"),
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": Meaning(_P.ACCOUNT_LOST_ACCESS, "the account is suspended"),
    "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION": Meaning(
        _P.ACCOUNT_LOST_ACCESS, "the manager account no longer leads to this customer"
    ),
    "RESOURCE_EXHAUSTED": Meaning(_P.RATE_LIMITED, "a quota is used up"),
    "RESOURCE_TEMPORARILY_EXHAUSTED": Meaning(_P.RATE_LIMITED, "a quota is used up for now"),
    "DEVELOPER_TOKEN_": Meaning(_P.OUR_BUG, "Wevion's developer token"),
    "CLOUD_PROJECT_NOT_APPROVED": Meaning(_P.OUR_BUG, "Wevion's Cloud project"),
}
_DRIVE = {
    "rateLimitExceeded": Meaning(_P.RATE_LIMITED, "the rate limit"),
    "userRateLimitExceeded": Meaning(_P.RATE_LIMITED, "the user's rate limit"),
    "insufficientFilePermissions": Meaning(_P.ACCOUNT_LOST_ACCESS, "this file may not be used"),
    "appNotAuthorizedToFile": Meaning(_P.ACCOUNT_LOST_ACCESS, "the app may not open this file"),
    "domainPolicy": Meaning(_P.ACCOUNT_LOST_ACCESS, "the customer's admin forbids it"),
}
_GOOGLE_OAUTH = {
    "invalid_grant": Meaning(_P.REAUTHORIZE, "the grant has expired or was revoked"),
    "token has been expired or revoked": Meaning(_P.REAUTHORIZE, "the grant has expired or was revoked"),
    "invalid_rapt": Meaning(_P.REAUTHORIZE, "the Workspace admin wants a fresh login", _C.PLATFORM_ENFORCED),
    "admin_policy_enforced": Meaning(_P.REAUTHORIZE, "the Google admin restricts the service", _C.PLATFORM_ENFORCED),
}
_TIKTOK = {
    40102: Meaning(_P.REAUTHORIZE, "the access token has expired"),
    40103: Meaning(_P.REAUTHORIZE, "the refresh token has expired"),
    40105: Meaning(_P.REAUTHORIZE, "the token is incorrect or was revoked", _C.USER_REVOKED),
    40106: Meaning(_P.REAUTHORIZE, "the user is not valid"),
    40107: Meaning(_P.REAUTHORIZE, "the refresh token is not valid"),
    40110: Meaning(_P.REAUTHORIZE, "the authorization code is not valid"),
    40114: Meaning(_P.REAUTHORIZE, "the advertiser logged out", _C.USER_REVOKED),
    40130: Meaning(_P.MISSING_PERMISSION, "a scope was not authorised"),
    40309: Meaning(_P.REAUTHORIZE, "a login is required"),
    40100: Meaning(_P.RATE_LIMITED, "requests come too often"),
    40132: Meaning(_P.RATE_LIMITED, "requests come too often"),
    40016: Meaning(_P.RATE_LIMITED, "frequency control"),
    61000: Meaning(_P.RATE_LIMITED, "too many requests"),
    40001: Meaning(_P.ACCOUNT_LOST_ACCESS, "this advertiser is not authorised"),
    40003: Meaning(_P.ACCOUNT_LOST_ACCESS, "access is forbidden"),
    40113: Meaning(_P.ACCOUNT_LOST_ACCESS, "the app is forbidden"),
    40300: Meaning(_P.ACCOUNT_LOST_ACCESS, "the advertiser does not exist"),
    40301: Meaning(_P.ACCOUNT_LOST_ACCESS, "the advertiser's role does not allow it"),
    40101: Meaning(_P.OUR_BUG, "Wevion's app id or secret"),
    40104: Meaning(_P.OUR_BUG, "no token was sent"),
    50000: Meaning(_P.RETRY_LATER, "a fault on TikTok's side"),
    50002: Meaning(_P.RETRY_LATER, "a time-out on TikTok's side"),
    60001: Meaning(_P.RETRY_LATER, "maintenance at TikTok"),
}
_STRIPE = (
    (r"account_invalid|does not have access to account|application access may have been revoked", _P.REAUTHORIZE,
     "the account owner removed Wevion", _C.USER_REVOKED),
    (r"account\.application\.deauthorized", _P.REAUTHORIZE, "the account owner removed Wevion", _C.USER_REVOKED),
    (r"not connected to stripe account", _P.REAUTHORIZE, "the account is not connected", _C.DISCONNECTED),
    (r"authorization code has already been used", _P.REAUTHORIZE, "a code was used twice, which revokes all", None),
    (r"(?:invalid|expired) api key|api[ _]key[ _]expired", _P.OUR_BUG, "Wevion's key", None),
)  # fmt: skip
_TELEGRAM = (
    (r"bot was blocked by the user", _P.NEW_LINK, "the user blocked the bot", _C.USER_REVOKED),
    (r"user is deactivated", _P.NEW_LINK, "the Telegram account was deleted", _C.USER_REVOKED),
    (r"chat not found", _P.NEW_LINK, "there is no such chat for the bot", None),
    (r"bot was kicked|bot is not a member|group chat was deleted", _P.NEW_LINK, "the bot was removed", _C.USER_REVOKED),
    (r"too many requests: retry after", _P.RATE_LIMITED, "Telegram's rate limit", None),
)


def observe(signals: Signals) -> Iterator[Evidence]:
    """Everything that a platform's own language shows."""
    for reader in (_meta, _google, _tiktok, _snapchat, _taboola, _outbrain, _stripe, _telegram):
        yield from reader(signals)


def _means(provider: str, meaning: Meaning, what: str, weight: float = STRONG) -> Evidence:
    return Evidence(
        f"{what} is {provider_title(provider)}'s way to say: {meaning.words}.",
        {kind_of(provider): weight},
        provider,
        meaning.problem,
        meaning.cause,
    )


def _meta(signals: Signals) -> Iterator[Evidence]:
    error = signals.member("error")
    if isinstance(error, dict) and ("fbtrace_id" in error or error.get("type") == "OAuthException"):
        code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
        yield _means("meta", _meta_meaning(code, subcode), f"code {code}" + (f"/{subcode}" if subcode else ""))
        return
    match = re.search(r"\bcode[ \":=]*(190|102)\b", signals.text)
    if match and _about(signals, "meta"):
        yield _means("meta", _meta_meaning(int(match[1]), _subcode(signals.text)), f"code {match[1]}")
    for pattern, code, subcode in _META_TEXTS:
        if re.search(pattern, signals.text) and not _about(signals, "tiktok", "snapchat"):
            yield _means("meta", _meta_meaning(code, subcode), "this text", STRONG if "#" in pattern else FAIR)
            return
    if "oauthexception" in signals.text:
        yield _means("meta", _META_CODES[190], "OAuthException")


def _meta_meaning(code: int | None, subcode: int | None) -> Meaning:
    if code == 190 and subcode in _META_SUBCODES:  # noqa: PLR2004  Meta's own number
        return _META_SUBCODES[subcode]
    if code in _META_CODES:
        return _META_CODES[code]
    if code is not None and 200 <= code <= 299:  # noqa: PLR2004
        return Meaning(_P.ACCOUNT_LOST_ACCESS, "a permission is missing")
    if code is not None and 80000 <= code <= 80014:  # noqa: PLR2004
        return Meaning(_P.RATE_LIMITED, "a use case's rate limit")
    return Meaning(_P.UNKNOWN, "an error that its documents do not name")


def _subcode(text: str) -> int | None:
    match = re.search(r"subcode\W*(\d{3})", text)
    return int(match[1]) if match else None


def _google(signals: Signals) -> Iterator[Evidence]:
    upper = signals.text.upper()
    for name, meaning in _GOOGLE_ADS.items():
        if name in upper and (name != "RESOURCE_EXHAUSTED" or not _about(signals, "google-drive")):
            yield _means("google-ads", meaning, name.rstrip("_"))
            break
    for reason, meaning in _DRIVE.items():
        if reason.lower() in signals.text:
            yield _means("google-drive", meaning, reason)
            break
    given = signals.provider
    others = _about(signals, "meta", "tiktok", "snapchat", "taboola", "outbrain", "stripe") or (
        given is not None and not given.startswith("google")  # such as one that was added by settings alone
    )
    for name, meaning in _GOOGLE_OAUTH.items():
        if name in signals.text and not others:
            yield _of_google(signals, meaning, name)
            break
    if not others and not _about(signals, "google-ads", "google-drive") and re.search(r"\bgoogle\b", signals.text):
        yield Evidence(
            "Google is named, and both Google Ads and Google Drive are Google's.",
            {TokenKind.PLATFORM_OAUTH: FAIR, TokenKind.INTEGRATION: FAIR - 1},
        )


def _of_google(signals: Signals, meaning: Meaning, what: str) -> Evidence:
    for provider in ("google-drive", "google-ads"):
        if _about(signals, provider):
            return _means(provider, meaning, what)
    return Evidence(
        f"{what} is OAuth's way to say: {meaning.words}. Google Ads and Google Drive both say it.",
        {TokenKind.PLATFORM_OAUTH: FAIR, TokenKind.INTEGRATION: FAIR - 1.5},
        None,
        meaning.problem,
        meaning.cause,
    )


def _tiktok(signals: Signals) -> Iterator[Evidence]:
    code = _number(signals.member("code"))
    if code is None and _about(signals, "tiktok"):
        match = re.search(r"\b([456][01]\d{3})\b", signals.text)
        code = int(match[1]) if match else None
    if code in _TIKTOK:
        yield _means("tiktok", _TIKTOK[code], f"code {code}")
    elif "access token is incorrect or has been revoked" in signals.text:
        yield _means("tiktok", _TIKTOK[40105], "this text")
    elif "app reaches the qps limit" in signals.text:
        yield _means("tiktok", _TIKTOK[40100], "this text")


def _snapchat(signals: Signals) -> Iterator[Evidence]:
    code = str(signals.member("error_code") or "")
    if signals.member("request_status") is None and not _about(signals, "snapchat"):
        return
    if code == "E3002" or "e3002" in signals.text or signals.status == 401:  # noqa: PLR2004
        yield _means("snapchat", Meaning(_P.REAUTHORIZE, "the token is not valid"), code or "401")
    elif code == "E3003" or "e3003" in signals.text or signals.status == 403:  # noqa: PLR2004
        yield _means("snapchat", Meaning(_P.ACCOUNT_LOST_ACCESS, "no permission for this object"), code or "403")
    elif "invalid_grant" in signals.text:
        yield _means("snapchat", Meaning(_P.REAUTHORIZE, "the grant has ended"), "invalid_grant")
    elif signals.member("request_status"):
        yield _means("snapchat", Meaning(_P.UNKNOWN, "an error"), "request_status")


def _taboola(signals: Signals) -> Iterator[Evidence]:
    if "badclientcredentialsexception" in signals.text or (
        _about(signals, "taboola") and "invalid_client" in signals.text
    ):
        yield _means("taboola", Meaning(_P.REAUTHORIZE, "the credentials are no longer valid"), "invalid_client")
    elif isinstance(signals.member("http_status"), int) and "message" in signals.document:
        yield _means("taboola", Meaning(_P.REAUTHORIZE, "the call was refused"), "http_status and message", FAIR)


def _outbrain(signals: Signals) -> Iterator[Evidence]:
    if "ob-token-v1" in signals.text:
        yield _means("outbrain", Meaning(_P.REAUTHORIZE, "the login token is not valid"), "OB-TOKEN-V1")
    elif "rate-limit-msec-left" in signals.text:
        yield _means("outbrain", Meaning(_P.RATE_LIMITED, "the limit of logins"), "rate-limit-msec-left")


def _stripe(signals: Signals) -> Iterator[Evidence]:
    yield from _by_text("stripe", signals, _STRIPE)


def _telegram(signals: Signals) -> Iterator[Evidence]:
    shape = signals.member("ok") is False and "description" in signals.document
    if shape:
        broken = Meaning(
            _P.OUR_BUG if signals.member("error_code") in {401, 404} else _P.UNKNOWN, "the call was refused"
        )
        yield _means("telegram", broken, "ok, error_code and description", FAIR)
    if shape or _about(signals, "telegram") or "bot was" in signals.text:
        yield from _by_text("telegram", signals, _TELEGRAM)


def _by_text(
    provider: str, signals: Signals, table: Iterable[tuple[str, Problem, str, RevocationCause | None]]
) -> Iterator[Evidence]:
    for pattern, problem, words, cause in table:
        match = re.search(pattern, signals.text)
        if match:
            yield _means(provider, Meaning(problem, words, cause), f'"{match[0]}"')
            return


def _about(signals: Signals, *providers: str) -> bool:
    """Whether the error is about one of these providers, as far as it says."""
    if signals.provider is not None:
        return signals.provider in providers
    return any(pattern.search(signals.text) for name, pattern in NAMES if name in providers)


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else None
