"""What a password must be (NIST SP 800-63B, section 5.1.1.2: length, not composition), and one that never matches."""

import unicodedata

from common import addresses
from session_svc.core.errors import InvalidError

MIN_LENGTH = 12
MAX_LENGTH = 256

_OBVIOUS = ("password", "wevion", "123456", "qwerty", "letmein")


def normalise(password: str) -> str:
    """Return the same password typed on another keyboard gives the same bytes (RFC 8265: NFC)."""
    return unicodedata.normalize("NFC", password)


def check_new(password: str, *, email: str, field: str = "new_password") -> str:
    """Return the normalised password, if it may be used.

    Raises:
        InvalidError: naming the rule that it breaks.

    """
    value = normalise(password)
    if len(value) < MIN_LENGTH:
        raise InvalidError(
            field, f"has fewer than {MIN_LENGTH} characters", "Use a longer one, such as four random words."
        )
    if len(value) > MAX_LENGTH:
        raise InvalidError(field, f"has more than {MAX_LENGTH} characters", "Use a shorter one.")
    folded = value.casefold()
    name = addresses.key(email).casefold().partition("@")[0]
    stripped = folded.replace(name, "") if len(name) > 3 else folded  # noqa: PLR2004  shorter names occur in words
    for word in _OBVIOUS:
        stripped = stripped.replace(word, "")
    if len(set(stripped)) < 5 or len(stripped) < MIN_LENGTH // 2:  # noqa: PLR2004
        raise InvalidError(
            field, "is one of the first that an attacker would try", "Use one that is not made of your name."
        )
    return value
