"""The cookies of the public origin: their names, which stand here alone, and how they are read."""

from collections.abc import Iterable

SESSION_COOKIE = "wevion_session"
SECURE_SESSION_COOKIE = "__Host-wevion_session"
"""Where browsers use TLS. The prefix binds the cookie to this host, to every path and to TLS (RFC 6265bis, section
4.1.3.2): no sibling host, no plain-http page and no longer path can plant one."""
DEVICE_COOKIE = "wevion_device"

SESSION_COOKIES = frozenset({SESSION_COOKIE, SECURE_SESSION_COOKIE})


class AmbiguousCookieError(ValueError):
    """There are several session cookies with different values: nobody can say which one is the person's own."""


def session_cookie_name(*, secure: bool) -> str:
    """Return the name under which a session cookie is set."""
    return SECURE_SESSION_COOKIE if secure else SESSION_COOKIE


def session_cookie(lines: Iterable[str]) -> str | None:
    """Return the session cookie of a request's `Cookie` headers, or None.

    A cookie with the `__Host-` prefix wins over one without, which anybody in the neighbourhood can have planted and
    which is read for one release only. Empty ones do not count.

    Raises:
        AmbiguousCookieError: several differ. Browsers send the one with the longest path first, and not the one that
            was set here, so taking the first would be the choice of whoever planted it.

    """
    found: dict[str, set[str]] = {SECURE_SESSION_COOKIE: set(), SESSION_COOKIE: set()}
    for name, value in read_cookies(lines):
        if name in found and value:
            found[name].add(value)
    for values in found.values():
        if len(values) > 1:
            raise AmbiguousCookieError
        if values:
            return values.pop()
    return None


def read_cookies(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return names and values of `Cookie` headers, in order (RFC 6265, section 5.4, read back)."""
    parts = [part.strip().partition("=") for line in lines for part in line.split(";")]
    return [(name, value) for name, _, value in parts if name]
