"""The watcher against a model of it: any order, repetition and loss of events, crashes, late sweeps, own ladders.

Runs on a real PostgreSQL, because the version check and the schedule are statements. What must hold: at most one
announcement per token, expiry date and stage; within one date only ever more urgent; none that the newest fact heard
of does not bear out; and after a sweep nothing that is due is left unsaid.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from common.contracts import Event, EventBody, TokenIssuedV1, TokenRefreshedV1, TokenStateV1, TokenStatus
from common.postgres import Pool, open_pool
from common.runtime.ids import new_id
from common.testing.stack import DatabaseFactory
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.operations import Deps, announce_due, choose_ladder, track

START = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
LADDER = Ladder.parse(("14d", "7d", "1d", "1h"))

Said = tuple[str, datetime]


def _leads(ladder: Ladder) -> dict[str, timedelta]:
    return {stage.name: stage.lead for stage in ladder.stages} | {"expired": timedelta(0)}


ALL_LEADS = _leads(LADDER) | _leads(Ladder.parse(("30d", "2d", "5h")))


class Watcher(RuleBasedStateMachine):
    """One token, its owner, its workspace, and the watcher's database."""

    def __init__(self, run: Callable[[Any], Any], pool: Pool, make: Callable[..., Any]) -> None:
        super().__init__()
        self.run, self.deps = run, Deps(pool=pool, ladder=LADDER)
        self.token = make(workspace_id=new_id())
        self.ladder = LADDER
        self.now = START
        self.end: datetime | None = None
        self.revoked = False
        self.made: list[Event[EventBody]] = []
        self.heard: Event[EventBody] | None = None
        self.said: list[Said] = []

    @rule(days=st.one_of(st.integers(1, 40), st.floats(0.01, 2)), same=st.booleans())
    def owner_renews(self, days: float, *, same: bool) -> None:
        """To a later end, to a closer one, or to the same: re-authorised, or silently."""
        if not same or self.end is None or self.end <= self.now:
            self.end = self.now + timedelta(days=days)
        silently = self.made and not self.revoked
        self.revoked = False
        self.made.append((self.token.refreshed if silently else self.token.issued)(self.end, at=self.now))

    @rule()
    def owner_revokes(self) -> None:
        if self.made:
            self.revoked = True
            self.made.append(self.token.revoked(at=self.now))

    @rule(status=st.sampled_from([TokenStatus.ACTIVE, TokenStatus.EXPIRING, TokenStatus.DEGRADED]))
    def owner_tells_the_whole_state(self, status: TokenStatus) -> None:
        """Of the version that is there, or (an account was lost, a refresh fails) of one that no other topic tells."""
        if self.made and not self.revoked:
            self.token.next()
            self.made.append(self.token.state(status, at=self.now, expires_at=self.end))

    @rule()
    def owner_calls_it_expired(self) -> None:
        if self.end is not None and not self.revoked:
            self.now = max(self.now, self.end)
            self.token.next()
            self.made.append(self.token.state(TokenStatus.EXPIRED, at=self.now, expires_at=self.end))

    @rule(stages=st.sampled_from([LADDER.names, ("30d", "2d"), ("5h",)]))
    def workspace_chooses(self, stages: tuple[str, ...]) -> None:
        self.ladder = Ladder.parse(stages)
        workspace_id, owner = self.token.members["workspace_id"], self.token.members["owner_user_id"]
        self.run(choose_ladder(self.deps, workspace_id, self.ladder, owner, self.now))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if self.made:
            self._hear(data.draw(st.lists(st.sampled_from(self.made), min_size=1, max_size=6)))

    @rule(data=st.data(), steps=st.integers(0, 40))
    def crash_while_tracking(self, data: st.DataObject, steps: int) -> None:
        """The process dies in the middle; nothing was acknowledged, so the records come again."""
        if self.made:
            batch = data.draw(st.lists(st.sampled_from(self.made), min_size=1, max_size=6))
            self.run(_cut_short(track(self.deps, batch), steps))
            self._hear(batch)

    @rule(steps=st.integers(0, 40))
    def crash_while_sweeping(self, steps: int) -> None:
        self.run(_cut_short(announce_due(self.deps, self.now, 100), steps))
        self._check()

    @rule(hours=st.one_of(st.integers(1, 24), st.integers(24, 24 * 20)))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(times=st.integers(1, 2))
    def sweep(self, times: int) -> None:
        for _ in range(times):
            self.run(announce_due(self.deps, self.now, 100))
        expiry = self._check()
        if expiry is not None:
            leads = _leads(self.ladder)
            due = [lead for lead in leads.values() if expiry - lead <= self.now]
            reached = [ALL_LEADS[stage] for stage, date in self.said if date == expiry]
            if due:
                assert min(reached, default=timedelta.max) <= min(due), "nothing that is due is left unsaid"

    def teardown(self) -> None:
        """At last everything arrives, in the wrong order."""
        if self.made:
            self._hear(list(reversed(self.made)))
        self.sweep(2)

    def _hear(self, batch: list[Event[EventBody]]) -> None:
        self.run(track(self.deps, batch))
        newest = max(batch, key=lambda event: event.body.aggregate_version())
        if self.heard is None or newest.body.aggregate_version() > self.heard.body.aggregate_version():
            self.heard = newest

    def _check(self) -> datetime | None:
        """What was said since the last look is right; returns the end that the newest fact tells."""
        before = len(self.said)
        self.said = self.run(self._read())
        new, expiry = self.said[before:], self._expiry()
        assert all(expires_at == expiry for _, expires_at in new), "the newest fact bears it out"
        assert len(new) <= 1, "the most urgent due stage only"
        assert len(set(self.said)) == len(self.said), "said once"
        for stage, expires_at in new:
            assert stage in _leads(self.ladder), "a stage of its workspace"
            leads = [ALL_LEADS[name] for name, date in self.said if date == expires_at]
            assert leads == sorted(leads, reverse=True), "only ever more urgent"
        return expiry

    def _expiry(self) -> datetime | None:
        match self.heard.body if self.heard else None:
            case TokenIssuedV1() | TokenRefreshedV1() | TokenStateV1() as body:
                return body.expires_at
            case _:
                return None

    async def _read(self) -> list[Said]:
        rows = await self.deps.pool.fetch(
            "SELECT convert_from(payload, 'utf8')::jsonb AS body FROM outbox WHERE key = $1 ORDER BY id",
            str(self.token.token_id),
        )
        return [(row["body"].get("stage", "expired"), datetime.fromisoformat(_date(row["body"]))) for row in rows]


async def _cut_short(work: Coroutine[Any, Any, Any], steps: int) -> None:
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


def _date(body: dict[str, Any]) -> str:
    date: str = body.get("expires_at") or body["expired_at"]
    return date


@pytest.mark.timeout(300)  # thousands of transactions, on machines that do other things too
async def test_watcher_model(database: DatabaseFactory, story: Callable[..., Any]) -> None:
    dsn = await database("expiry_watcher")

    def drive() -> None:
        with asyncio.Runner() as runner:
            pool = runner.run(open_pool(dsn, application_name="model"))
            try:
                run_state_machine_as_test(
                    cast("type[Watcher]", lambda: Watcher(runner.run, pool, story)),
                    settings=settings(
                        max_examples=40,
                        stateful_step_count=25,
                        deadline=None,
                        suppress_health_check=list(HealthCheck),
                    ),
                )
            finally:
                runner.run(pool.close())

    await asyncio.to_thread(drive)
