"""Where a browser may be sent, and how an origin is written."""

from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
MAX_RETURN_TO = 2048


def safe_return_to(value: str | None, default: str = "/") -> str:
    """`value` if it is a path on this origin, else `default`.

    Refused: other origins, `//host`, a backslash (browsers read it as a slash), control characters (browsers drop
    them before they read the URL, so slash, tab, slash, host would leave too), and more than 2048 characters.
    """
    if not value or len(value) > MAX_RETURN_TO or not value.startswith("/"):
        return default
    if value.startswith("//") or "\\" in value or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in value):  # noqa: PLR2004
        return default
    return value


def origin_of(url: str) -> str:
    """Return a URL's origin as browsers write it in `Origin`: scheme, host, and a port that is not the default."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}".lower()
