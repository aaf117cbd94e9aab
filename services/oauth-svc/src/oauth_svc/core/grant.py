"""Consent: where it may return to, PKCE, and how a token answer is read (RFC 6749 section 5.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from oauth_svc.core.errors import UnsafeReturnError

MAX_RETURN_TO = 512
SAME_END = timedelta(seconds=10)
"""Ends that differ by more are two."""

LONGEST_LIFE_S = 10**10
"""A stated life beyond this is beyond any calendar, and counts as not stated."""

MAX_SECRET = 16_384
"""Longest token that is stored, in characters; a longer one is a malformed answer."""

_LOCAL_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9\-._~!$&'()*+,;=:@%/?#\[\]]*")


def local_return(path: str | None, default: str = "/connections") -> str:
    """`path` if it stays inside Wevion, else `UnsafeReturnError`.

    A browser also reads two slashes, a slash and a backslash, or a slash and a tab as another site, so only plain
    path characters after one slash pass.
    """
    if path is None or path == "":
        return default
    if len(path) > MAX_RETURN_TO or not _LOCAL_PATH.fullmatch(path):
        raise UnsafeReturnError
    return path


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never be seen: the tokens of a grant, and the credentials of a platform without consent.

    Every stored grant has an access token: it is what the consent, the login or the import gave.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    def refresh_secret(self) -> str:
        """Return the refresh token. Raises `LookupError` when there is none: `can_renew` is asked first."""
        if self.refresh_token is None:
            raise LookupError("there is no refresh token to present")
        return self.refresh_token

    def renewed_by(self, answer: "TokenAnswer") -> "Secrets":
        """Merge an answer: a refresh token in it replaces the old one, else the old one stays (RFC 6749, section 6)."""
        return Secrets(answer.access_token, answer.refresh_token or self.refresh_token, self.credentials)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A platform's token answer, read and checked.

    `expires_at` and `grant_expires_at` are None where the platform states no end: neither "ended" nor "never".
    `scopes` is None when the answer is silent, which means "as requested" (RFC 6749 section 5.1).
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    issued_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    expires_at: datetime | None = None
    grant_expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    subject: str | None = None
    id_token: str | None = field(default=None, repr=False)
    in_testing: bool = False
    """It lives as long as grants do while our own app is not published: that is our fault and no end of the grant's."""


class MalformedAnswerError(ValueError):
    """A success status whose body is not a token answer. The platform may have acted: the outcome is unknown."""


def read_token_answer(body: Mapping[str, Any], now: datetime, *, scope_separator: str = " ") -> TokenAnswer:
    """Read an RFC 6749 answer: the access token is needed, every other field that cannot be read counts as not said.

    The answer may hold the only valid refresh token, so a decorative field of a wrong type never costs the tokens.
    """
    expires_in = seconds(body.get("expires_in"))
    grant_in = seconds(body.get("refresh_token_expires_in", body.get("refresh_expires_in")))
    return TokenAnswer(
        access_token=token_text(body.get("access_token"), "access_token"),
        refresh_token=optional_token(body.get("refresh_token")),
        issued_at=now,
        expires_at=after(now, expires_in),
        grant_expires_at=after(now, grant_in),
        scopes=scope_set(body.get("scope"), scope_separator),
        id_token=optional_token(body.get("id_token")),
    )


ERROR_NAMES = frozenset({"error", "errors", "error_code", "errorCode", "errorMessage", "code"})
"""Where platforms name an error; a firewall in front of one says `message` at most."""


def leaves_open(status: int, answer: Mapping[str, Any] | None, body: bytes) -> bool:
    """Return whether an answer to a token request does not tell if the platform has acted on it.

    A 5xx and the statuses of requests that were broken off (RFC 9110: 408, 409, 425) may come after the act. So may a
    page of a proxy, whatever its status. A 429 refuses before the act, and a refusal of the token endpoint itself is a
    JSON object that names an error (RFC 6749 section 5.2), or a bare 401 for wrong credentials.

    Args:
        status: The HTTP status.
        answer: The body as a JSON object; None if it is none.
        body: The body as it came.

    Returns:
        True when the request must be treated as one whose outcome is unknown.

    """
    if status >= 500 or status in {408, 409, 425}:  # noqa: PLR2004 - HTTP's own border
        return True
    if status < 400 or status == 429 or (answer is not None and not ERROR_NAMES.isdisjoint(answer)):  # noqa: PLR2004
        return False
    return status != 401 or body.lstrip().startswith(b"<")  # noqa: PLR2004


def of_testing(answer: TokenAnswer, testing_life: timedelta) -> TokenAnswer:
    """Return an answer whose end is the one of an unpublished app of ours without that end, and marked."""
    if answer.grant_expires_at is None:
        return answer
    differs = abs(answer.grant_expires_at - answer.issued_at - testing_life)
    return replace(answer, grant_expires_at=None, in_testing=True) if differs < TESTING_GRAIN else answer


def died_in_testing(lived: timedelta, testing_life: timedelta) -> bool:
    """Return whether a grant ended when those of an unpublished app do; a refresh notices that within two hours."""
    return timedelta(0) <= lived - testing_life + TESTING_GRAIN <= timedelta(hours=2)


TESTING_GRAIN = timedelta(minutes=10)


def after(now: datetime, span_s: float | None) -> datetime | None:
    return None if span_s is None else now + timedelta(seconds=span_s)


def token_text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_SECRET:
        raise MalformedAnswerError(f"no usable {name}")
    return value


def optional_token(value: object) -> str | None:
    """Return a token that may be missing; one of another type or beyond any length counts as missing."""
    return value if isinstance(value, str) and value and len(value) <= MAX_SECRET else None


def seconds(value: object) -> float | None:
    """Return seconds from a number or a numeric string; None for anything else: no end is stated."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= LONGEST_LIFE_S else None


def scope_set(value: object, separator: str = " ") -> frozenset[str] | None:
    """Return the scopes that an answer names; None where it names none, which means "as requested".

    Some servers join them by commas, which RFC 6749 section 3.3 does not know.
    """
    if isinstance(value, str):
        parts = [part for part in re.split(rf"[{re.escape(separator)}\s]+", value) if part]
        if len(parts) == 1:
            parts = [part for part in parts[0].split(",") if part]
        return frozenset(parts) or None
    if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
        return frozenset(str(part) for part in value)
    return None


def same_end(ours: datetime | None, theirs: datetime | None, now: datetime) -> bool:
    """Return whether two tellings are of one end: rounded to seconds, and late by the time that an answer takes.

    The tolerance shrinks with the time that is left, so that a token that lives for seconds can still be renewed.
    """
    if ours is None or theirs is None:
        return ours is theirs
    return abs(theirs - ours) <= min(SAME_END, abs(theirs - now) / 20)


def earliest(*times: datetime | None) -> datetime | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None


def missing_scopes(needed: frozenset[str], granted: frozenset[str] | None) -> tuple[str, ...]:
    """Return what was asked for and not granted. Silence means "as requested"; more than asked never nags."""
    return () if granted is None else tuple(sorted(needed - granted))
