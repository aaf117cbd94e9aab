"""Failure classes: the small, stable, public taxonomy of everything a platform can answer.

Permanence, retry and blame follow from the class alone. The tables that turn a platform's answer into a
class live with the platform (`providers/`); what each class means lives here.
"""

from dataclasses import dataclass
from enum import StrEnum

from common.contracts import FailureClass, RevocationCause


class Verdict(StrEnum):
    """The six classes of the provider facts."""

    RETRY_LATER = "retry_later"
    RATE_LIMITED = "rate_limited"
    REAUTHORIZE = "reauthorize"
    ACCOUNT_LOST_ACCESS = "account_lost_access"
    OUR_BUG = "our_bug"
    UNKNOWN_OUTCOME = "unknown_outcome"

    @property
    def only_a_person_helps(self) -> bool:
        """True when no retry of ours can succeed."""
        return self is Verdict.REAUTHORIZE

    @property
    def pages_operators(self) -> bool:
        """True when the fault is ours: operators are alerted, customers are never told to re-authorise."""
        return self is Verdict.OUR_BUG


@dataclass(frozen=True, slots=True)
class Failure:
    """What a platform's refusal means.

    `code` is the platform's own code in a bounded spelling (`190/458`), never its message text.
    `retry_after_s` is the platform's own figure, if it gave one. `cause` is set for `reauthorize` only;
    None there means that the token simply ran out. `unrecognised` marks an answer that no table row knows:
    it is retried, counted and shown to operators, and never taken for death. `final` forbids a repetition whatever
    the provider's rule, because the platform itself said that the token is spent.
    """

    verdict: Verdict
    code: str
    cause: RevocationCause | None = None
    retry_after_s: float | None = None
    unrecognised: bool = False
    refresh_first: bool = False
    final: bool = False

    @property
    def event_class(self) -> FailureClass:
        """The class as `token.refresh_failed` carries it; a person's classes have events of their own."""
        return _EVENT_CLASS[self.verdict]


_EVENT_CLASS = {
    Verdict.RETRY_LATER: FailureClass.RETRY_LATER,
    Verdict.RATE_LIMITED: FailureClass.RATE_LIMITED,
    Verdict.UNKNOWN_OUTCOME: FailureClass.UNKNOWN_OUTCOME,
    Verdict.OUR_BUG: FailureClass.OUR_BUG,
    Verdict.REAUTHORIZE: FailureClass.RETRY_LATER,
    Verdict.ACCOUNT_LOST_ACCESS: FailureClass.RETRY_LATER,
}


def retry_later(code: str, *, retry_after_s: float | None = None, unrecognised: bool = False) -> Failure:
    return Failure(Verdict.RETRY_LATER, code, retry_after_s=retry_after_s, unrecognised=unrecognised)


def rate_limited(code: str, *, retry_after_s: float | None = None) -> Failure:
    return Failure(Verdict.RATE_LIMITED, code, retry_after_s=retry_after_s)


def reauthorize(code: str, cause: RevocationCause | None, *, refresh_first: bool = False) -> Failure:
    return Failure(Verdict.REAUTHORIZE, code, cause=cause, refresh_first=refresh_first)


def lost_access(code: str) -> Failure:
    return Failure(Verdict.ACCOUNT_LOST_ACCESS, code)


def our_bug(code: str) -> Failure:
    return Failure(Verdict.OUR_BUG, code)


def unknown_outcome(code: str) -> Failure:
    return Failure(Verdict.UNKNOWN_OUTCOME, code)


def by_status(status: int, *, retry_after_s: float | None = None) -> Failure | None:
    """What an HTTP status alone proves, when the body said nothing we know. None for a success status.

    A bare 4xx proves nothing about the grant (RFC 6749 section 5.2 gives the proof a code in the body), so an
    answer that no row knows is retried and reported, never taken for death.
    """
    if status < 400:  # noqa: PLR2004 - HTTP's own border
        return None
    if status == 429:  # noqa: PLR2004
        return rate_limited("http_429", retry_after_s=retry_after_s)
    if status >= 500 or status in {408, 409, 425}:  # noqa: PLR2004
        return retry_later(f"http_{status}", retry_after_s=retry_after_s)
    return retry_later(f"http_{status}", retry_after_s=retry_after_s, unrecognised=True)
