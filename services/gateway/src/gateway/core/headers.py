"""Headers on their way in and out: what must not pass, and what every page must have."""

from collections.abc import Iterable, Mapping

from multidict import CIMultiDict, CIMultiDictProxy

from common.edge import SESSION_COOKIE

# RFC 9110, section 7.6.1, and what HTTP/1.0 proxies sent. They speak of one connection, not of the message.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Who the caller is, or where from, is ours to say: a browser that could say it would be believed further in.
_IDENTITY = frozenset(
    {
        "authorization",
        "cookie",
        "forwarded",
        "host",
        "via",
        "x-client-ip",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
        "true-client-ip",
        "cf-connecting-ip",
    }
)
_IDENTITY_PREFIXES = ("x-forwarded-", "x-wevion-", "x-auth-", "x-user-")
_NOT_PASSED_BACK = frozenset({"server", "date", "content-length", "alt-svc", "strict-transport-security"})

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_SECURITY = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def security_headers(*, https: bool) -> Mapping[str, str]:
    """Return the headers that every answer of the public origin has."""
    hsts = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"} if https else {}
    return {**_SECURITY, **hsts}


def inward(headers: CIMultiDictProxy[str], *, keep_authorization: bool) -> CIMultiDict[str]:
    """Return the browser's headers without those that it may not set, and without the session cookie."""
    passed: CIMultiDict[str] = CIMultiDict()
    dropped = _HOP_BY_HOP | _named_by_connection(headers.getall("Connection", ()))
    for name, value in headers.items():
        lower = name.lower()
        if lower in dropped or lower.startswith(_IDENTITY_PREFIXES) or "_" in lower:
            continue  # an underscore: some servers read X_Forwarded_For as the header with hyphens
        if lower in _IDENTITY and not (lower == "authorization" and keep_authorization):
            continue
        if lower == "content-length":
            continue  # the client that sends the body says it, from what it really has
        passed.add(name, value)
    others = other_cookies(headers.getall("Cookie", ()))
    if others:
        passed["Cookie"] = others
    return passed


def outward(headers: CIMultiDictProxy[str], *, owns_session: bool) -> CIMultiDict[str]:
    """Return a service's headers as the browser gets them. Only session-svc may set the session cookie."""
    passed: CIMultiDict[str] = CIMultiDict()
    dropped = _HOP_BY_HOP | _NOT_PASSED_BACK | _named_by_connection(headers.getall("Connection", ()))
    for name, value in headers.items():
        lower = name.lower()
        if lower in dropped:
            continue
        if lower == "set-cookie" and not owns_session and value.strip().startswith(f"{SESSION_COOKIE}="):
            continue
        passed.add(name, value)
    return passed


def session_cookie(values: Iterable[str]) -> str | None:
    """Return the session cookie, if there is one."""
    for part in _cookies(values):
        name, _, value = part.partition("=")
        if name == SESSION_COOKIE:
            return value
    return None


def other_cookies(values: Iterable[str]) -> str:
    """Return all cookies but the session's: a service has no use for it, and what it has not it cannot lose."""
    return "; ".join(part for part in _cookies(values) if part.partition("=")[0] != SESSION_COOKIE)


def _cookies(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(";") if part.strip()]


def _named_by_connection(values: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().lower() for value in values for name in value.split(","))
