"""From ranked kinds and the tokens that there are to an answer: which token, its state, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from common.contracts import RevocationCause, TokenKind, TokenStatus, Verdict
from common.platforms import title_of
from expiry_watcher.core.diagnosis.judge import Candidate
from expiry_watcher.core.fixes import Fix, fix_for

DEAD = frozenset({TokenStatus.EXPIRED, TokenStatus.REVOKED})
DEAD_WEIGHT = 1.5
EXPIRING_WEIGHT = 0.5
CONNECTIONS = frozenset({TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION})
"""Kinds of which a dead one waits for a person. Ended sessions and used links are a normal sight, and prove nothing."""


class Known(Protocol):
    """A token of the inventory, as far as a diagnosis needs it."""

    @property
    def token_id(self) -> UUID: ...
    @property
    def kind(self) -> TokenKind: ...
    @property
    def provider(self) -> str: ...
    @property
    def status(self) -> TokenStatus: ...
    @property
    def since(self) -> datetime: ...
    @property
    def cause(self) -> RevocationCause | None: ...
    @property
    def missing_scopes(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Known)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is wrong with the token in question, and what to do about it."""

    problem: Verdict
    cause: RevocationCause | None
    words: str
    fix: Fix
    nothing_wrong: bool
    otherwise: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a platform said when it was asked about the token: whether it confirmed it, and the state since then."""

    verified: bool
    status: TokenStatus
    cause: RevocationCause | None
    words: str


def can_be_checked(token: Known | None) -> bool:
    """Return whether a platform can be asked about this token: one that is believed alive."""
    return token is not None and token.kind in CONNECTIONS and token.status not in DEAD


def after_check(conclusion: Conclusion, token: Known, checked: Checked, public_url: str) -> Conclusion:
    """Return the conclusion with what the platform said just now.

    Args:
        conclusion: what the words alone say.
        token: the token that they name.
        checked: what the platform answered when it was asked.
        public_url: the origin that people's browsers use.

    """
    if checked.status not in DEAD:
        return replace(conclusion, words=checked.words)
    fix = fix_for(
        token.kind, token.provider, public_url, status=checked.status, cause=checked.cause, token_id=token.token_id
    )
    return Conclusion(_MENDING[token.kind], checked.cause, checked.words, fix, nothing_wrong=False, otherwise=())


def state_weights(tokens: Sequence[Known], provider: str | None) -> dict[TokenKind, float]:
    """Return what the state of the tokens adds to the evidence: a dead connection is likelier the one asked about."""
    weights: dict[TokenKind, float] = {}
    for token in tokens:
        if token.kind not in CONNECTIONS or provider not in (None, token.provider):
            continue
        if token.status in DEAD:
            weights[token.kind] = DEAD_WEIGHT
        elif token.status is TokenStatus.EXPIRING:
            weights.setdefault(token.kind, EXPIRING_WEIGHT)
    return weights


def the_very_one(tokens: Sequence[T], candidate: Candidate, named: frozenset[UUID]) -> T | None:
    """Return the token in question: named by its id, or the only one that fits, or that fits and fails."""
    for token in tokens:
        if token.token_id in named:
            return token
    fitting = [
        token
        for token in tokens
        if token.kind is candidate.kind and candidate.provider in (None, token.provider, "wevion")
    ]
    if len(fitting) == 1:
        return fitting[0]
    if candidate.problem not in _MENDED_BY_A_PERSON | {Verdict.UNKNOWN}:
        return None  # that one of them has ended does not explain this
    failing = [token for token in fitting if token.status in DEAD and token.kind in CONNECTIONS]
    return failing[0] if len(failing) == 1 else None


def conclude(candidate: Candidate, token: Known | None, public_url: str) -> Conclusion:
    """Return what to tell about the likeliest kind and, if it was found, the very token."""
    provider = token.provider if token is not None else candidate.provider
    name = title_of(provider) if provider else "the platform"
    problem, cause = candidate.problem, candidate.cause
    if token is not None and token.status in DEAD:
        problem, cause = (problem if problem in _MENDED_BY_A_PERSON else _MENDING[token.kind]), token.cause
        words = _ended(token, name)
    elif token is not None and problem in _MENDED_BY_A_PERSON | {Verdict.UNKNOWN}:
        return _alive(candidate, token, name, public_url)
    else:
        words = _WORDS[problem].format(name=name)
    if problem in _NOT_THE_TOKEN:
        fix = Fix(_NOT_THE_TOKEN[problem].format(name=name), None)
        return Conclusion(problem, cause, words, fix, nothing_wrong=True, otherwise=())
    if problem is Verdict.ACCOUNT_LOST_ACCESS:
        fix = Fix(
            f"Get access to the account back at {name} (its owner or admin gives it), then check the account.",
            f"{public_url}/connections",
        )
        return Conclusion(problem, cause, words, fix, nothing_wrong=False, otherwise=())
    status = None if token is None else token.status
    token_id = None if token is None else token.token_id
    fix = fix_for(candidate.kind, provider, public_url, status=status, cause=cause, token_id=token_id)
    return Conclusion(problem, cause, words, fix, nothing_wrong=False, otherwise=())


def _alive(candidate: Candidate, token: Known, name: str, public_url: str) -> Conclusion:
    if token.status is TokenStatus.EXPIRING or token.missing_scopes:
        problem = Verdict.EXPIRING if token.status is TokenStatus.EXPIRING else Verdict.MISSING_PERMISSION
        fix = fix_for(token.kind, token.provider, public_url, status=token.status, token_id=token.token_id)
        return Conclusion(problem, None, _WORDS[problem].format(name=name), fix, nothing_wrong=False, otherwise=())
    if token.status is TokenStatus.DEGRADED:
        fix = Fix(_NOT_THE_TOKEN[Verdict.RETRY_LATER].format(name=name), None)
        words = f"Refreshes at {name} fail for now, but the connection is believed alive."
        return Conclusion(Verdict.RETRY_LATER, None, words, fix, nothing_wrong=True, otherwise=_OTHERWISE)
    words = "Nothing is wrong with your tokens now: the one that this error is about works."
    fix = Fix("Try again. If it still fails, it is something else.", None)
    otherwise = _OTHERWISE if token.kind in CONNECTIONS else ()
    return Conclusion(candidate.problem, None, words, fix, nothing_wrong=True, otherwise=otherwise)


def _ended(token: Known, name: str) -> str:
    if token.kind is TokenKind.SESSION:
        return "This session has ended."
    if token.kind is TokenKind.TELEGRAM_LINK:
        return "This Telegram link can no longer be used."
    how = "has reached its full expiry" if token.status is TokenStatus.EXPIRED else "ended before its time"
    return f"The {name} connection {how}: syncs, publishing and rules that need it are stopped."


_MENDING = {
    TokenKind.SESSION: Verdict.SIGN_IN,
    TokenKind.TELEGRAM_LINK: Verdict.NEW_LINK,
    TokenKind.PLATFORM_OAUTH: Verdict.REAUTHORIZE,
    TokenKind.INTEGRATION: Verdict.REAUTHORIZE,
}
_MENDED_BY_A_PERSON = frozenset({*_MENDING.values(), Verdict.EXPIRING, Verdict.MISSING_PERMISSION})

_WORDS = {
    Verdict.REAUTHORIZE: "The connection to {name} no longer works until somebody re-authorises it.",
    Verdict.ACCOUNT_LOST_ACCESS: "The connection to {name} may work, but access to this account or object was removed.",
    Verdict.MISSING_PERMISSION: "The connection to {name} works, but lacks a permission.",
    Verdict.RATE_LIMITED: "{name} limits how often it may be asked. The token is not the problem.",
    Verdict.RETRY_LATER: "{name} has trouble of its own. The token is not the problem.",
    Verdict.OUR_BUG: "{name} refuses Wevion's own request or client. No token of yours is the problem.",
    Verdict.EXPIRING: "The connection to {name} works, and reaches full expiry soon.",
    Verdict.SIGN_IN: "The session in Wevion has ended, or its JWT was refused.",
    Verdict.NEW_LINK: "The Telegram link does not work: it was used, has expired, or the chat is gone.",
    Verdict.NOT_ALLOWED: "The session is fine, but this person may not do that.",
    Verdict.UNKNOWN: "What exactly is wrong does not show in what was given.",
}
_NOT_THE_TOKEN = {
    Verdict.RATE_LIMITED: "Nothing to do: the call is repeated when {name} allows it.",
    Verdict.RETRY_LATER: "Nothing to do: the call is repeated until {name} is well again.",
    Verdict.OUR_BUG: "Nothing that a customer can fix: tell Wevion's support, with the error.",
    Verdict.NOT_ALLOWED: "Ask an admin or the owner of the workspace.",
}
_OTHERWISE = (
    "The error may be from before the last re-authorisation.",
    "Access to the one ad account may have been removed while the connection lives: check the account.",
    "The platform may have had an incident, or limited the rate of calls.",
)
