"""What a platform's answer means, as one value that every reader shares.

`Failure` states the verdict (who can help), the cause (only if the platform states one), the words, and whether a
refresh should be tried first. The tables that turn a platform's codes into it are the other modules of this package.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from common.contracts import RefreshFailure, RevocationCause, Verdict


class Call(StrEnum):
    """What was asked when the answer came: some codes mean another thing at a token endpoint."""

    API = "api"
    REFRESH = "refresh"
    EXCHANGE = "exchange"
    LOGIN = "login"
    REVOKE = "revoke"

    @property
    def for_tokens(self) -> bool:
        """Return whether this call asks a token endpoint for a token."""
        return self in (Call.REFRESH, Call.EXCHANGE, Call.LOGIN)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a refusal means.

    Attributes:
        verdict: who can help, and when; retry, permanence and blame follow from it alone.
        code: the platform's own code in a bounded spelling (`190/458`), never its message text.
        words: what the code says, as a clause for people; empty where the code alone is known.
        cause: why the grant ended; None unless the platform states it. Only for `reauthorize`.
        ran_out: the platform says that the token reached its end by age. Only for `reauthorize`.
        retry_after_s: the platform's own figure in seconds, if it gave one.
        unrecognised: no table row knows the answer. It is retried, counted and shown to operators.
        refresh_first: only the access token may be over, so one refresh tells about the grant.
        final: the platform itself said that the credential is spent, so it is never presented again.

    """

    verdict: Verdict
    code: str
    words: str = field(default="", compare=False)
    cause: RevocationCause | None = None
    ran_out: bool = False
    retry_after_s: float | None = None
    unrecognised: bool = False
    refresh_first: bool = False
    final: bool = False

    @property
    def refresh_verdict(self) -> RefreshFailure:
        """Return the verdict as `token.refresh_failed` carries it; a person's verdicts have events of their own."""
        match self.verdict:
            case Verdict.RATE_LIMITED | Verdict.UNKNOWN_OUTCOME | Verdict.OUR_BUG:
                return self.verdict
            case _:
                return Verdict.RETRY_LATER


def retry_later(
    code: str, words: str = "", *, retry_after_s: float | None = None, unrecognised: bool = False
) -> Failure:
    """The platform has trouble of its own; the same call may succeed later.

    Args:
        code: the platform's code, or ours for an answer without one.
        words: what it means, without a subject.
        retry_after_s: the seconds that the platform asks to wait; None if it names none.
        unrecognised: no table knows this answer.

    """
    return Failure(Verdict.RETRY_LATER, code, words, retry_after_s=retry_after_s, unrecognised=unrecognised)


def rate_limited(code: str, words: str = "", *, retry_after_s: float | None = None) -> Failure:
    """Return the failure of a platform that asks to be called less often."""
    return Failure(Verdict.RATE_LIMITED, code, words, retry_after_s=retry_after_s)


def reauthorize(
    code: str,
    cause: RevocationCause | None = None,
    words: str = "",
    *,
    refresh_first: bool = False,
    ran_out: bool = False,
) -> Failure:
    """Return the failure that only a person can mend. `cause` is None unless the platform states it.

    Args:
        code: the platform's code.
        cause: why it ended; None for none.
        words: what it means, without a subject.
        refresh_first: a forced refresh is tried before anybody is told: only the access token may be meant.
        ran_out: the grant ended by age.

    """
    return Failure(Verdict.REAUTHORIZE, code, words, cause=cause, refresh_first=refresh_first, ran_out=ran_out)


def lost_access(code: str, words: str = "") -> Failure:
    """One account or object can no longer be reached; the grant may live."""
    return Failure(Verdict.ACCOUNT_LOST_ACCESS, code, words)


def our_bug(code: str, words: str = "") -> Failure:
    """Return our own client, app or request is refused; no customer can do anything about it."""
    return Failure(Verdict.OUR_BUG, code, words)


def unknown_outcome(code: str, words: str = "") -> Failure:
    """The platform may have acted, and its answer was lost."""
    return Failure(Verdict.UNKNOWN_OUTCOME, code, words)


@dataclass(frozen=True, slots=True)
class Reply:
    """A platform's answer as the tables read it. Header names are in lower case.

    Attributes:
        status: the HTTP status; None where only the body is known.
        document: the body as JSON (an object or a list), or the elements of an XML body; None for anything else.
        text: the body as it came.
        headers: the headers of the answer.
        call: what was asked.

    """

    status: int | None
    document: Any = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    call: Call = Call.API

    @property
    def object(self) -> dict[str, Any]:
        """Return the body as an object; empty if it is none. A list stands for its first object."""
        body = self.document
        if isinstance(body, list):
            body = next((item for item in body if isinstance(item, dict)), None)
        return body if isinstance(body, dict) else {}

    @property
    def error(self) -> dict[str, Any]:
        """Return the member `error`, where it is an object."""
        found = self.object.get("error")
        return found if isinstance(found, dict) else {}

    @property
    def oauth_error(self) -> str | None:
        """Return the member `error`, where it is a string (RFC 6749 section 5.2)."""
        found = self.object.get("error")
        return found if isinstance(found, str) and found else None

    @property
    def refused(self) -> bool:
        return self.status is not None and self.status >= 400


_ELEMENT = re.compile(r"<(error|error_description|message|code)>([^<]{0,500})</\1>")


def read_reply(
    status: int | None, body: bytes | str, headers: Mapping[str, str] | None = None, call: Call = Call.API
) -> Reply:
    """Decode a body once for all tables: JSON, or the flat elements of an XML error (Taboola answers so).

    Args:
        status: the HTTP status.
        body: the body as it came.
        headers: the headers, with names in lower case; None for none.
        call: what was asked.

    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    document: Any = None
    if text.lstrip().startswith("<"):
        document = dict(_ELEMENT.findall(text)) or None
    else:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
    return Reply(status, document, text, headers or {}, call)


def number(value: object) -> int | None:
    """Return a whole number, also when it comes as a string; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def seconds_of(value: str | None) -> float | None:
    """Return a non-negative number of seconds, whole or decimal; None for anything else."""
    try:
        found = float(value or "")
    except ValueError:
        return None
    return found if 0 <= found < 10**8 else None


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return seconds from `Retry-After`: a number, or an HTTP date (RFC 9110 section 10.2.3).

    A date is counted from the answer's own `Date`, and from `now` where there is none.
    """
    value = headers.get("retry-after", "").strip()
    figure = seconds_of(value)
    if figure is not None or not value:
        return figure
    until, sent = _http_date(value), _http_date(headers.get("date", "")) or now
    return None if until is None or sent is None else max(0.0, (until - sent).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def by_status(status: int | None, *, retry_after_s: float | None = None) -> Failure | None:
    """Return what an HTTP status alone proves, when the body said nothing we know. None for a success status.

    A bare 4xx proves nothing about the grant (RFC 6749 section 5.2 gives the proof a code in the body), so an
    answer that no row knows is retried and reported, never taken for death.
    """
    if status is None or status < 400:
        return None
    if status == 429:
        return rate_limited("http_429", "too many requests", retry_after_s=retry_after_s)
    if status >= 500 or status in {408, 409, 425}:
        return retry_later(f"http_{status}", retry_after_s=retry_after_s)
    return retry_later(f"http_{status}", retry_after_s=retry_after_s, unrecognised=True)


def believable(failure: Failure, reply: Reply) -> Failure:
    """Return a failure without a verdict that a 429 or a 5xx cannot prove: neither shows that a grant is over."""
    wait_s = failure.retry_after_s or retry_after_s(reply.headers)
    if reply.status == 429:
        return rate_limited(failure.code, failure.words, retry_after_s=wait_s)
    if reply.status is not None and reply.status >= 500 and failure.verdict is Verdict.REAUTHORIZE:
        return retry_later(f"http_{reply.status}", retry_after_s=wait_s)
    if failure.verdict is Verdict.RATE_LIMITED and wait_s != failure.retry_after_s:
        return replace(failure, retry_after_s=wait_s)
    return failure
