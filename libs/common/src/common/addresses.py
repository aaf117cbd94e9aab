"""Mail addresses: which ones can be mailed, how they are written on the wire, and which two are one.

One rule for people and for mail: what it refuses would be taken at an invitation and could never be reached.
"""

import contextlib
import re
import string
import unicodedata

import idna

LONGEST = 254
"""RFC 5321, section 4.5.3.1.3, with erratum 1690: a path of 256 octets has two angle brackets."""
LONGEST_LOCAL = 64
"""RFC 5321, section 4.5.3.1.1."""
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""A dot-atom (RFC 5322, section 3.2.3). Quoted strings are legal, and servers that take them are hardly found."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class AddressError(ValueError):
    """The text is not an address that mail can be sent to. Its message says why, after the name of a field."""


def mailable(text: str) -> str:
    """Return the address as it stands in SMTP: all ASCII, the domain in lower case and in its A-label form.

    The domain follows IDNA 2008 with the mapping of UTS 46, not transitional: `faß.example` and `fass.example` are
    two domains. A local part beyond ASCII would need SMTPUTF8 (RFC 6531) on every server of the way.

    Raises:
        AddressError: it cannot be mailed.

    """
    local, at, domain = text.strip().rpartition("@")
    if not at or "@" in local:
        raise AddressError("is not an email address; write it as name@example.com, with one @")
    if not local.isascii():
        raise AddressError("has letters beyond ASCII before the @, which most mail servers refuse")
    if _LOCAL.fullmatch(local) is None:
        raise AddressError("has a character before the @ that no mail address has there; write it as name@example.com")
    if len(local) > LONGEST_LOCAL:
        raise AddressError(f"has more than {LONGEST_LOCAL} characters before the @")
    address = f"{local}@{_domain(domain)}"
    if len(address) > LONGEST:
        raise AddressError(f"is longer than {LONGEST} characters")
    return address


def key(text: str) -> str:
    """Return the form in which addresses are compared: one person has one account however they write their address.

    Capitals of ASCII do not count (servers may tell them apart, RFC 5321, section 2.4, and in practice do not), and a
    domain is its A-labels. An address that was stored before `mailable` was asked has a form, too.
    """
    local, at, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    with contextlib.suppress(AddressError):
        domain = _domain(domain)
    return f"{local}{at}{domain}".translate(_LOWER)


def _domain(domain: str) -> str:
    try:
        encoded = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise AddressError("has a domain after the @ that cannot exist; write it as name@example.com") from None
    *_, top = labels = encoded.split(".")
    if len(labels) < 2 or not top or top.isdigit():  # noqa: PLR2004  a name and its top level
        raise AddressError("needs a whole domain after the @, such as example.com")
    return encoded
