"""Weigh the evidence: kinds ranked, what is wrong, and how sure that is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.contracts import RevocationCause, TokenKind, Verdict
from expiry_watcher.core.diagnosis import places, platforms
from expiry_watcher.core.diagnosis.evidence import Evidence
from expiry_watcher.core.diagnosis.signals import Signals

SURE = 0.8
LIKELY = 0.5
_ECHO = 0.35
"""What a further observation for a kind adds of its weight: words about one thing repeat each other."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of token, how likely it is the one (0 to 1), and what speaks for it, the heaviest first."""

    kind: TokenKind
    confidence: float
    evidence: tuple[Evidence, ...]

    @property
    def provider(self) -> str | None:
        """Return the provider that the evidence names, if it names one."""
        return next((item.provider for item in self.evidence if item.provider is not None), None)

    @property
    def problem(self) -> Verdict:
        """Return what is wrong, by the heaviest evidence that says so."""
        return next((item.problem for item in self.evidence if item.problem is not None), Verdict.UNKNOWN)

    @property
    def cause(self) -> RevocationCause | None:
        return next((item.cause for item in self.evidence if item.cause is not None), None)

    @property
    def certainty(self) -> str:
        """Return the confidence as a word."""
        return "high" if self.confidence >= SURE else "medium" if self.confidence >= LIKELY else "low"


def observe(signals: Signals) -> list[Evidence]:
    """Return everything that the signals show."""
    return [*platforms.observe(signals), *places.observe(signals)]


def rank(evidence: Iterable[Evidence], state: Mapping[TokenKind, float] | None = None) -> list[Candidate]:
    """Return the kinds that something speaks for, the likeliest first; empty if nothing does.

    Args:
        evidence: the observations.
        state: weights from the tokens that there are: a dead one is likelier the one that is asked about.

    """
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
        )
        for kind in TokenKind
        if totals[kind] > 0
    ]
    return sorted(candidates, key=lambda candidate: candidate.confidence, reverse=True)
