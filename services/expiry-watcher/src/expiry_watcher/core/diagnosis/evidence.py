"""The unit of a diagnosis: one observation, what it says about the kind of token, and what it says is wrong."""

from dataclasses import dataclass

from common.contracts import RevocationCause, TokenKind, Verdict


@dataclass(frozen=True, slots=True)
class Instead:
    """What an error is when no token is at fault.

    Attributes:
        code: a stable name for programs.
        words: what it is, to stand after "speaks of".
        fix: what helps.

    """

    code: str
    words: str
    fix: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation.

    Weights are powers of two: a kind with weight 3 is eight times as likely as one of which nothing is known.
    `problem` and `cause` come from the heaviest observation that has them. With `instead` it speaks against
    every token, by `force`. `topic` marks an everyday word about a part of the product, which is no sign of a token by
    itself. `trouble` says that something no longer works, and not what. `only_place` marks a name or a
    place, which does not say that a token is at fault.
    """

    words: str
    weights: dict[TokenKind, float]
    provider: str | None = None
    problem: Verdict | None = None
    cause: RevocationCause | None = None
    instead: Instead | None = None
    force: float = 0.0
    only_place: bool = False
    trouble: bool = False
    topic: bool = False

    @property
    def weight(self) -> float:
        return max(self.weights.values(), default=0.0)


ANSWERED = 9.0
"""A platform's own answer: words inside of it ("session has expired") are about what the platform issued."""
CERTAIN = 7.0
"""A document of ours that says the kind itself."""
STRONG = 5.0
"""A platform's error code that somebody quotes, or our own error code."""
FAIR = 3.0
"""A name, or a place in the product that needs one kind of token only."""
HINT = 1.5
"""An everyday word."""
