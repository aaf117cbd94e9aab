"""Headers on their way in and out: what must not pass, and what every page must have."""

from collections.abc import Iterable, Mapping

from multidict import CIMultiDict, CIMultiDictProxy

from common.edge import SESSION_COOKIES

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
# What a browser or program may say to a service; everything else stays here. Who the caller is, where from, and by
# which trace it is followed, is ours to say: a browser that could say it would be believed further in.
_PASSED_IN = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "prefer",
        "range",
        "user-agent",
    }
)
# The proofs of machines, at paths where no session counts: OAuth clients, and the webhooks of platforms.
_PROOFS = frozenset(
    {
        "authorization",
        "dpop",
        "stripe-signature",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-hub-signature",
        "x-hub-signature-256",
        "x-slack-request-timestamp",
        "x-slack-signature",
        "x-telegram-bot-api-secret-token",
    }
)
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


def inward(headers: CIMultiDictProxy[str], *, proofs: bool) -> CIMultiDict[str]:
    """Return those of a request's headers that a service may see; `proofs`: with those by which machines are known.

    No cookie is among them: which one goes on is decided per path.
    """
    allowed = (_PASSED_IN | _PROOFS if proofs else _PASSED_IN) - _named_by_connection(headers.getall("Connection", ()))
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() in allowed)


def outward(headers: CIMultiDictProxy[str], *, owns_session: bool) -> CIMultiDict[str]:
    """Return a service's headers as the browser gets them. Only session-svc may set the session cookie."""
    passed: CIMultiDict[str] = CIMultiDict()
    dropped = _HOP_BY_HOP | _NOT_PASSED_BACK | _named_by_connection(headers.getall("Connection", ()))
    for name, value in headers.items():
        lower = name.lower()
        if lower in dropped:
            continue
        if lower == "set-cookie" and not owns_session and value.partition("=")[0].strip() in SESSION_COOKIES:
            continue
        passed.add(name, value)
    return passed


def _named_by_connection(values: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().lower() for value in values for name in value.split(","))
