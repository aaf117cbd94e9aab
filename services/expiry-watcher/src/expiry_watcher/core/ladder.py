"""The ladder of warnings: which stage is due, and when the next one will be.

A stage is due from `expires_at - lead` on. Of several due stages only the most urgent one is announced, as what
it is now; a mark per (token, expiry date) remembers the most urgent stage that was reached, so nothing is said
twice, nothing less urgent follows something more urgent, and a renewal (a new expiry date) starts afresh.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from expiry_watcher.core.errors import LadderRefusedError

EXPIRED_LEAD = timedelta(0)
"""The mark of a token whose full expiry was announced: nothing is more urgent."""
MAX_STAGES = 12
MAX_LEAD = timedelta(days=60)
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_STAGE = re.compile(r"([1-9][0-9]{0,4})([dhm])")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the ladder: its name on the wire, such as `7d`, and how long before full expiry it is due."""

    name: str
    lead: timedelta


@dataclass(frozen=True, slots=True)
class Ladder:
    """The stages of one workspace, the earliest warning (the longest lead) first. Never empty."""

    stages: tuple[Stage, ...]

    @classmethod
    def parse(cls, names: tuple[str, ...] | list[str]) -> "Ladder":
        """Read stage names such as `14d`, `6h`, `30m`.

        Raises:
            LadderRefusedError: none or too many stages, a name that is not a whole number with d, h or m, a repeated
                stage, or one further ahead than anybody plans.

        """
        if not names:
            raise LadderRefusedError("a ladder needs at least one stage, such as 7d")
        if len(names) > MAX_STAGES:
            raise LadderRefusedError(f"a ladder has at most {MAX_STAGES} stages, not {len(names)}")
        stages = tuple(sorted((_stage(name) for name in names), key=lambda stage: stage.lead, reverse=True))
        for earlier, later in pairwise(stages):
            if earlier.lead == later.lead:
                raise LadderRefusedError(f"stage {later.name} is there twice")
        return cls(stages)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    def first_due(self, expires_at: datetime) -> datetime:
        """Return when the earliest stage of this expiry date is due."""
        return expires_at - self.stages[0].lead


@dataclass(frozen=True, slots=True)
class Warn:
    """Announce that full expiry comes nearer."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Expire:
    """Announce that full expiry was reached."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about one deadline now.

    `say` is None when there is nothing to say; `mark` is the lead of the most urgent stage reached so far (it is
    recorded even when nothing is said); `next_due` is None when this expiry date is finished.
    """

    say: Warn | Expire | None
    mark: timedelta | None
    next_due: datetime | None


def step(expires_at: datetime, mark: timedelta | None, ladder: Ladder, now: datetime) -> Step:
    """Decide what is due at `now` for one expiry date whose most urgent stage so far is `mark`.

    Args:
        expires_at: the full expiry, in UTC.
        mark: the most urgent stage that was announced; None before the first.
        ladder: the stages of warning.
        now: the present time, in UTC.

    """
    if expires_at <= now:
        return Step(say=None if mark == EXPIRED_LEAD else Expire(), mark=EXPIRED_LEAD, next_due=None)
    remaining = expires_at - now
    present, next_due = None, expires_at
    for stage in ladder.stages:
        if stage.lead < remaining:
            next_due = expires_at - stage.lead
            break
        present = stage  # the shortest lead that has begun is the most urgent one
    if present is None:
        return Step(say=None, mark=mark, next_due=next_due)
    if mark is not None and mark <= present.lead:
        return Step(say=None, mark=mark, next_due=next_due)
    return Step(say=Warn(present), mark=present.lead, next_due=next_due)


def _stage(name: str) -> Stage:
    match = _STAGE.fullmatch(name)
    if match is None:
        raise LadderRefusedError(
            f"stage {name[:20]!r} is not a whole number of days, hours or minutes, such as 7d, 6h or 30m"
        )
    lead = int(match[1]) * _UNITS[match[2]]
    if lead > MAX_LEAD:
        raise LadderRefusedError(f"stage {name} is further ahead than {MAX_LEAD.days} days")
    return Stage(name, lead)
