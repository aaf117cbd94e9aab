"""How many calls may be under way at a provider, and how many of its grants this process may hold.

The limit counts *calls*, because it is there for the provider's sake: a slot is free again when the answer is in, not
when it is written. Grants are claimed ahead of the slots, so that no slot waits for a claim; one that waits has no
attempt row yet, so a crash costs it nothing but its lease. When the database is slow, what is held runs full and
nothing more is claimed; when it is away, no call begins, because none begins without its attempt row.
"""

import asyncio

from oauth_svc import metrics

AHEAD_S = 0.1
"""Grants wait for a slot for as many calls as the provider allows in this time: longer than a claim takes. Their calls
are counted already, so when slots that hung come free together, the rate is exceeded by no more than that."""


class Slots:
    """One provider's."""

    def __init__(self, provider: str, limit: int, requests_per_s: float) -> None:
        self._limit = limit
        self._ahead = min(limit, int(requests_per_s * AHEAD_S))
        self._free = asyncio.Semaphore(limit)
        self._calling = 0
        self._answered = 0
        self._held = 0
        self._gauge = metrics.IN_FLIGHT.labels(provider)
        self.seconds = metrics.REFRESH_SECONDS.labels(provider)

    @property
    def room(self) -> int:
        """Return how many grants may be claimed now."""
        return self._limit + self._ahead + min(self._answered, self._limit) - self._held

    @property
    def worth_a_claim(self) -> bool:
        """Return whether a claim is worth its cost now: it fills half of the slots, or all that are free."""
        return self.room * 2 >= self._limit or self._held == 0

    def hold(self) -> "Slot":
        """Count a grant that was just claimed. Leases are never turned away, so this does not ask for room."""
        self._held += 1
        return Slot(self)

    async def take(self, *, wait: bool) -> bool:
        """Take a slot. Without `wait` the call may go over the limit; False is returned if there is no slot for it."""
        owned = wait or not self._free.locked()
        if owned:
            await self._free.acquire()
        self._calling += 1
        self._gauge.set(self._calling)
        return owned

    def answered(self, *, owned: bool) -> None:
        if owned:
            self._free.release()
        self._calling -= 1
        self._answered += 1
        self._gauge.set(self._calling)

    def drop(self, *, answered: bool) -> None:
        self._held -= 1
        self._answered -= int(answered)


class Slot:
    """One refresh, from its claim to its settlement."""

    __slots__ = ("_answered", "_calling", "_owned", "_slots")

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._calling = self._answered = self._owned = False

    async def call(self, *, wait: bool) -> None:
        """Return when the call may begin."""
        self._owned = await self._slots.take(wait=wait)
        self._calling = True

    def observe(self, seconds: float) -> None:
        """How long the provider took."""
        self._slots.seconds.observe(seconds)

    def answered(self) -> None:
        """The provider has nothing more to do with it."""
        if self._calling:
            self._calling = False
            self._answered = True
            self._slots.answered(owned=self._owned)

    def end(self) -> None:
        """Settled, or given up."""
        self.answered()
        self._slots.drop(answered=self._answered)
