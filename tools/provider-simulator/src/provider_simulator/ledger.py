"""Every request to a token endpoint, in order: the oracle of the refresh engine's tests.

`presented_twice` of a grant counts how often a single-use token (an authorization code, a rotating refresh token) was
presented again after the platform had taken it. A request that a fault refused before the platform looked at the token
is written down too, but it does not count: the token was still unspent.

Bounded: the oldest lines go first, the counts stay.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider_simulator.grants import Grant

KEEP_LINES = 200_000
TOKEN_PREFIX = 16  # characters; by so many Google's RISC events name a token


@dataclass(slots=True)
class Line:
    """`fault`: the fault that this request met, if any; `taken`: the platform looked at what was presented."""

    number: int
    time: float
    provider: str
    operation: str
    grant: str | None
    presented: str | None
    outcome: str
    fault: str | None
    taken: bool
    twice: bool


class Ledger:
    def __init__(self, keep: int = KEEP_LINES) -> None:
        self._lines: deque[Line] = deque(maxlen=keep)
        self._number = 0
        self.outcomes: dict[str, Counter[str]] = {}
        self.presented_twice: Counter[str] = Counter()
        self._second: dict[str, tuple[int, int]] = {}
        self.peak_per_second: dict[str, int] = {}

    def write(
        self,
        provider: str,
        operation: str,
        *,
        now: float,
        outcome: str,
        presented: str | None = None,
        grant: Grant | None = None,
        fault: str | None = None,
        taken: bool = True,
        twice: bool = False,
    ) -> None:
        self._number += 1
        if twice and grant is not None:
            grant.presented_twice += 1
            self.presented_twice[grant.id] += 1
        self._lines.append(
            Line(
                self._number,
                now,
                provider,
                operation,
                None if grant is None else grant.id,
                # The value itself is hashed when somebody reads, not while a platform answers.
                presented,
                outcome,
                fault,
                taken,
                twice,
            )
        )
        counts = self.outcomes.get(provider)
        if counts is None:
            counts = self.outcomes[provider] = Counter()
        counts[outcome] += 1
        self._count_rate(provider, int(now))

    def _count_rate(self, provider: str, second: int) -> None:
        last, count = self._second.get(provider, (second, 0))
        count = count + 1 if last == second else 1
        self._second[provider] = (second, count)
        if count > self.peak_per_second.get(provider, 0):
            self.peak_per_second[provider] = count

    def lines(
        self, *, provider: str | None = None, grant: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[Line]:
        found: list[Line] = []
        for line in self._lines:
            if line.number <= after:
                continue
            if provider is not None and line.provider != provider:
                continue
            if grant is not None and line.grant != grant:
                continue
            found.append(line)
            if len(found) >= limit:
                break
        return found

    @property
    def written(self) -> int:
        return self._number

    @property
    def forgotten(self) -> int:
        return self._number - len(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        self._number = 0
        self.outcomes.clear()
        self.presented_twice.clear()
        self._second.clear()
        self.peak_per_second.clear()


def fingerprint(presented: str | None) -> str | None:
    return None if presented is None else hashlib.sha256(presented.encode()).hexdigest()
