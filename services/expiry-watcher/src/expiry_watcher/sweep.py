"""The periodic scan of deadlines: sleeps until the next one, says what is due, at a pace."""

from datetime import datetime

from common.runtime.clock import Clock, monotonic
from common.runtime.periodic import Periodic
from common.runtime.rate_limit import Bucket, RateLimit
from expiry_watcher import metrics
from expiry_watcher.operations import AnnounceStatus, Deps, announce_due, measure_backlog, next_due, tidy

TIDY_EVERY_S = 3600.0
MEASURE_EVERY_S = 15.0
BATCH = 500
"""Steps claimed at once: larger batches gain little (measured: 36 k/s at 100, 54 k/s at 500) and hold locks longer."""
WORTHWHILE_S = 0.05
"""A paced burst leaves in portions of this much time: one by one, each would cost a transaction of its own."""


class Sweep:
    """The activation that `common.runtime.periodic` runs, and the gate that tells it how long to sleep."""

    def __init__(self, deps: Deps, clock: Clock, *, rate_per_s: int) -> None:
        self._deps = deps
        self._clock = clock
        # One second's worth at most: a stage is hours long and the nearest expiry goes first, so a burst is delayed
        # without costing any token its stage.
        self._pace = Bucket.full(RateLimit.per_second(rate_per_s, rate_per_s), clock.now())
        self._worthwhile = max(1, min(BATCH, int(rate_per_s * WORTHWHILE_S)))
        self._gate: datetime | None = None

    async def run_once(self) -> AnnounceStatus:
        """Return one sweep: at most a batch, and at most what the pace allows."""
        started = monotonic()
        now = self._clock.now()
        limit = min(BATCH, self._pace.room(now))
        if limit < self._worthwhile:
            metrics.AT_CAPACITY.labels("pace").inc()
            return AnnounceStatus(0, 0, more=False)
        status = await announce_due(self._deps, now, limit)
        self._pace, _ = self._pace.take(now, status.said)
        if status.more:
            metrics.AT_CAPACITY.labels("batch" if limit == BATCH else "pace").inc()
        metrics.SWEEP_SECONDS.observe(monotonic() - started)
        return status

    async def next_delay(self) -> float | None:
        """Return the seconds until the next deadline, and until the pace allows it; None if there is no deadline."""
        self._gate = await next_due(self._deps)
        if self._gate is None:
            return None
        now = self._clock.now()
        until_due = (self._gate - now).total_seconds()
        return max(until_due, self._pace.wait_s(now, self._worthwhile))

    def sleeps_past(self, due_at: datetime) -> bool:
        """Return whether a deadline that was just set comes before the one that the sweep sleeps for."""
        return self._gate is None or due_at < self._gate


def measuring(deps: Deps, clock: Clock) -> Periodic:
    """Return the work that counts the deadlines that have passed and were not announced."""

    async def measure() -> None:
        await measure_backlog(deps, clock.now())

    return Periodic("backlog", measure, interval_s=MEASURE_EVERY_S)


def tidying(deps: Deps, clock: Clock) -> Periodic:
    """Return the work that deletes what nobody will ask for again."""

    async def forget_old() -> None:
        await tidy(deps, clock.now())

    return Periodic("tidy", forget_old, interval_s=TIDY_EVERY_S, timeout_s=TIDY_EVERY_S)
