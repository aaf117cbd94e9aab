"""Signing keys: next, active, retiring, gone. Four names for what the times in a row say.

A key is published before it signs for longer than any verifier may keep a JWKS, and stays published after it stopped
for longer than any JWT that it signed can live. So no verifier meets a JWT whose key it cannot have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class KeyState(StrEnum):
    """Where a signing key is in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The times of rotation."""

    signs_for: timedelta = timedelta(days=30)
    """How long a key signs before the schedule replaces it."""
    jwks_max_age: timedelta = timedelta(minutes=5)
    """How long a verifier may keep the JWKS without asking again."""
    reload_every: timedelta = timedelta(seconds=20)
    """How soon each replica sees a key that another one made."""
    jwt_life: timedelta = timedelta(hours=1)
    skew: timedelta = timedelta(minutes=1)

    @property
    def publish_ahead(self) -> timedelta:
        """From a key's birth to its first signature: every replica serves it, and every cached JWKS has run out."""
        return self.jwks_max_age + 2 * self.reload_every


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """The times of one key."""

    kid: str
    created_at: datetime
    signs_from: datetime
    signs_until: datetime | None

    def state(self, now: datetime, schedule: Schedule) -> KeyState:
        """Return its state at `now`."""
        if now < self.signs_from:
            return KeyState.NEXT
        if self.signs_until is None or now < self.signs_until:
            return KeyState.ACTIVE
        if now < self.signs_until + schedule.jwt_life + schedule.skew:
            return KeyState.RETIRING
        return KeyState.GONE


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key to be made: when it starts to sign, which is also when `replaces` stops."""

    signs_from: datetime
    replaces: str | None


def plan(keys: Sequence[KeyTimes], now: datetime, schedule: Schedule, *, rotate: bool = False) -> KeyPlan | None:
    """Return the key that should be made now, if any. `rotate` asks for one ahead of the schedule.

    The very first key signs at once: no JWKS without it can be in anybody's cache that matters. While a next key
    waits, no other is made, so asking twice rotates once.

    Args:
        keys: the signing keys there are.
        now: the present time, in UTC.
        schedule: when keys are made and sign.
        rotate: a new key is asked for ahead of the schedule.

    """
    latest = next((key for key in keys if key.signs_until is None), None)
    if latest is None:
        return KeyPlan(now, None)
    if latest.signs_from > now:
        return None
    due = latest.signs_from + schedule.signs_for - schedule.publish_ahead
    if rotate or now >= due:
        return KeyPlan(now + schedule.publish_ahead, latest.kid)
    return None


def published(keys: Sequence[KeyTimes], now: datetime, schedule: Schedule) -> tuple[KeyTimes, ...]:
    """Return the keys of the JWKS: all but those that are gone."""
    return tuple(key for key in keys if key.state(now, schedule) is not KeyState.GONE)


def signing(keys: Sequence[KeyTimes], now: datetime, schedule: Schedule) -> KeyTimes | None:
    """Return the one key that signs at `now`."""
    return next((key for key in keys if key.state(now, schedule) is KeyState.ACTIVE), None)
