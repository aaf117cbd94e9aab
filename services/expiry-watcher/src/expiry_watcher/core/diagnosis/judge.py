"""Weigh the evidence: kinds ranked, what is wrong, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.contracts import RevocationCause, TokenKind, Verdict
from expiry_watcher.core.diagnosis import otherwise, places, platforms
from expiry_watcher.core.diagnosis.evidence import Evidence
from expiry_watcher.core.diagnosis.signals import Signals

SURE = 0.8
LIKELY = 0.5
TOKEN_AT_FAULT = frozenset(
    {
        Verdict.REAUTHORIZE,
        Verdict.ACCOUNT_LOST_ACCESS,
        Verdict.MISSING_PERMISSION,
        Verdict.EXPIRING,
        Verdict.SIGN_IN,
        Verdict.NEW_LINK,
        Verdict.NOT_ALLOWED,
        Verdict.OUR_BUG,
    }
)
USUAL = {
    TokenKind.SESSION: Verdict.SIGN_IN,
    TokenKind.PLATFORM_OAUTH: Verdict.REAUTHORIZE,
    TokenKind.INTEGRATION: Verdict.REAUTHORIZE,
    TokenKind.TELEGRAM_LINK: Verdict.NEW_LINK,
}
"""What is usually wrong with a token of a kind that no longer works."""

_ECHO = 0.35
"""What a further observation for a kind adds of its weight: words about one thing repeat each other."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of token, how likely it is the one (0 to 1), and what speaks for it, the heaviest first."""

    kind: TokenKind
    confidence: float
    evidence: tuple[Evidence, ...]
    trouble: bool = False

    @property
    def provider(self) -> str | None:
        """Return the provider that the evidence names, if it names one. A link is Telegram's, whoever is named."""
        if self.kind is TokenKind.TELEGRAM_LINK:
            return "telegram"
        return next((item.provider for item in self.evidence if item.provider is not None), None)

    @property
    def problem(self) -> Verdict:
        """Return what is wrong: by the heaviest evidence that says so, else by the place, else what is usual."""
        usual = USUAL[self.kind] if self.trouble else Verdict.UNKNOWN
        said = sorted((item for item in self.evidence if item.problem is not None), key=lambda item: item.only_place)
        return next((item.problem for item in said if item.problem is not None), usual)

    @property
    def cause(self) -> RevocationCause | None:
        return next((item.cause for item in self.evidence if item.cause is not None), None)

    @property
    def certainty(self) -> str:
        """Return the confidence as a word."""
        return "high" if self.confidence >= SURE else "medium" if self.confidence >= LIKELY else "low"


def observe(signals: Signals) -> list[Evidence]:
    """Return everything that the signals show."""
    return [*platforms.observe(signals), *places.observe(signals), *otherwise.observe(signals)]


def no_token(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the evidence that no token is at fault, if it outweighs everything that says that one is."""
    against = max((item for item in evidence if item.instead is not None), key=lambda item: item.force, default=None)
    if against is None:
        return None
    speaking = (item.weight for item in evidence if item.problem in TOKEN_AT_FAULT and not item.only_place)
    return against if against.force > max(speaking, default=0.0) else None


def rank(evidence: Sequence[Evidence], state: Mapping[TokenKind, float] | None = None) -> list[Candidate]:
    """Return the kinds that something speaks for, the likeliest first; none if no token is at fault.

    Args:
        evidence: the observations.
        state: weights from the tokens that there are: a dead one is likelier the one that is asked about.

    """
    if no_token(evidence) is not None and not state:
        return []
    by_kind: dict[TokenKind, list[tuple[float, Evidence]]] = {}
    for item in evidence:
        for kind, weight in item.weights.items():
            by_kind.setdefault(kind, []).append((weight, item))
    totals = dict.fromkeys(TokenKind, 0.0)
    for kind, found in by_kind.items():
        weights = sorted((weight for weight, _ in found), reverse=True)
        totals[kind] = weights[0] + _ECHO * sum(weights[1:])
    for kind, weight in (state or {}).items():
        totals[kind] += weight
    whole = sum(2.0**total for total in totals.values())
    candidates = [
        Candidate(
            kind,
            2.0 ** totals[kind] / whole,
            tuple(item for _, item in sorted(by_kind.get(kind, []), key=lambda pair: pair[0], reverse=True)),
            any(item.trouble for item in evidence),
        )
        for kind in TokenKind
        if kind in (state or {}) or any(not item.topic for _, item in by_kind.get(kind, ()))
    ]
    return sorted(candidates, key=lambda candidate: candidate.confidence, reverse=True)
