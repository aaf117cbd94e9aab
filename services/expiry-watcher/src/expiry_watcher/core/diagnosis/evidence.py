"""The unit of a diagnosis: one observation, what it says about the kind of token, and what it says is wrong."""

from dataclasses import dataclass, field

from common.contracts import RevocationCause, TokenKind, Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation.

    Weights are powers of two: a kind with weight 3 is eight times as likely as one of which nothing is known.
    `problem` and `cause` come from the heaviest observation that has them.
    """

    words: str
    weights: dict[TokenKind, float]
    provider: str | None = None
    problem: Verdict | None = None
    cause: RevocationCause | None = None
    token_ids: tuple[str, ...] = field(default=())

    @property
    def weight(self) -> float:
        return max(self.weights.values(), default=0.0)


CERTAIN = 7.0
"""A document of ours that says the kind itself."""
STRONG = 5.0
"""A platform's own error shape or code, or our own error code."""
FAIR = 3.0
"""A name, or a place in the product that needs one kind of token only."""
HINT = 1.5
"""An everyday word."""
