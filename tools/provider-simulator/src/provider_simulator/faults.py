"""Faults on order: what a network and a platform do on a bad day.

| kind | what the caller sees | before or after the platform acted |
| --- | --- | --- |
| status | the platform's own error shape with `status` (default 503) | after |
| rate_limit | the platform's own refusal, with its own way to say how long (`retry_after`) | before |
| hang | no answer at all, until the caller gives up | before |
| slow | the right answer, `delay_ms` late | after |
| reset | a TCP reset | before |
| reset_after_answer | the platform acts, then a TCP reset instead of the answer | after |
| html | an HTML error page of a proxy in front (`status`, default 502) | after |
| malformed | the platform acts, then the answer is cut in the middle | after |
| clock_skew | `Date` and every absolute time in the answers are `skew_s` off (default 600) | - |

A 5xx or a proxy's page says nothing about what the platform did with the request, so the worse case is the default.
`when` ("before" or "after") overrides the third column. `rate` is the share of requests hit, drawn from the seeded
source; `count` ends a fault after that many hits; `grant` narrows it to one grant.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from provider_simulator.randomness import Randomness

Kind = Literal["status", "rate_limit", "hang", "slow", "reset", "reset_after_answer", "html", "malformed", "clock_skew"]
AFTER: frozenset[str] = frozenset({"status", "html", "slow", "reset_after_answer", "malformed"})


class Fault(BaseModel):
    """One order. `provider` and `endpoint` may be `*`; `body` replaces the platform's own error body."""

    model_config = ConfigDict(extra="forbid")

    id: int = 0
    provider: str = "*"
    endpoint: str = "*"
    kind: Kind
    status: int | None = Field(default=None, ge=200, le=599)
    code: str | int | None = None
    retry_after: float | None = Field(default=None, ge=0)
    delay_ms: float = Field(default=1000, ge=0, le=600_000)
    rate: float = Field(default=1.0, gt=0, le=1)
    count: int | None = Field(default=None, ge=1)
    when: Literal["before", "after"] | None = None
    grant: str | None = None
    skew_s: float = 600
    body: str | None = None
    content_type: str = "application/json"
    hits: int = 0

    @property
    def acts_first(self) -> bool:
        return (self.when == "after") if self.when is not None else self.kind in AFTER


class Faults:
    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._orders: list[Fault] = []
        self._skews: dict[str, float] = {}
        self._number = 0

    @property
    def any(self) -> bool:
        return bool(self._orders)

    @property
    def by_grant(self) -> bool:
        """Whether somebody has to find out whose request it is before a fault can be picked."""
        return any(f.grant is not None for f in self._orders)

    def order(self, fault: Fault) -> Fault:
        self._number += 1
        fault.id = self._number
        self._orders.append(fault)
        self._read_skews()
        return fault

    def lift(self, *, fault_id: int | None = None, provider: str | None = None) -> int:
        """End the matching orders (all of them without arguments); the number that ended."""
        kept = [
            f
            for f in self._orders
            if (fault_id is not None and f.id != fault_id) or (provider is not None and f.provider != provider)
        ]
        ended = len(self._orders) - len(kept)
        self._orders = kept
        self._read_skews()
        return ended

    def standing(self) -> list[Fault]:
        return list(self._orders)

    def pick(self, provider: str, endpoint: str, grant: str | None) -> Fault | None:
        """The first standing order that hits this request, counted; None: the request goes well."""
        for fault in self._orders:
            if fault.kind == "clock_skew":
                continue
            if fault.provider not in {"*", provider} or fault.endpoint not in {"*", endpoint}:
                continue
            if fault.grant is not None and fault.grant != grant:
                continue
            if fault.rate < 1.0 and not self._randomness.chance(fault.rate):
                continue
            fault.hits += 1
            if fault.count is not None and fault.hits >= fault.count:
                self._orders.remove(fault)
            return fault
        return None

    def skew_s(self, provider: str) -> float:
        if not self._skews:
            return 0.0
        return self._skews.get(provider, self._skews.get("*", 0.0))

    def _read_skews(self) -> None:
        self._skews = {f.provider: f.skew_s for f in self._orders if f.kind == "clock_skew"}
