"""The watcher against a model of it: any order, repetition and loss of events, jumps of the clock, late sweeps.

Runs on a real PostgreSQL, because the version check and the schedule are statements. What must hold: at most one
announcement per token, expiry date and stage; within one date only ever more urgent; none that the newest fact heard
of does not bear out; and after a sweep nothing that is due is left unsaid.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from common.contracts import Event, EventBody, TokenIssuedV1, TokenRefreshedV1
from common.postgres import Pool, open_pool
from common.testing.stack import DatabaseFactory
from expiry_watcher.core.ladder import Ladder
from expiry_watcher.operations import Deps, announce_due, track

START = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
LADDER = Ladder.parse(("14d", "7d", "1d", "1h"))
LEADS = {stage.name: stage.lead for stage in LADDER.stages} | {"expired": timedelta(0)}

Said = tuple[str, datetime]


class Watcher(RuleBasedStateMachine):
    """One token, its owner, and the watcher's database."""

    def __init__(self, run: Callable[[Any], Any], pool: Pool, make: Callable[..., Any]) -> None:
        super().__init__()
        self.run, self.deps = run, Deps(pool=pool, ladder=LADDER)
        self.token = make()
        self.now = START
        self.made: list[Event[EventBody]] = []
        self.heard: Event[EventBody] | None = None
        self.said: list[Said] = []

    @rule(days=st.one_of(st.integers(1, 40), st.floats(0.01, 2)))
    def owner_renews(self, days: float) -> None:
        expires_at = self.now + timedelta(days=days)
        make = self.token.refreshed if self.made else self.token.issued
        self.made.append(make(expires_at, at=self.now))

    @rule()
    def owner_revokes(self) -> None:
        self.made.append(self.token.revoked(at=self.now))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if not self.made:
            return
        batch = data.draw(st.lists(st.sampled_from(self.made), min_size=1, max_size=6))
        self.run(track(self.deps, batch))
        newest = max(batch, key=lambda event: event.body.aggregate_version())
        if self.heard is None or newest.body.aggregate_version() > self.heard.body.aggregate_version():
            self.heard = newest

    @rule(hours=st.one_of(st.integers(1, 24), st.integers(24, 24 * 20)))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(times=st.integers(1, 2))
    def sweep(self, times: int) -> None:
        before = len(self.said)
        for _ in range(times):
            self.run(announce_due(self.deps, self.now, 100))
        self.said = self.run(self._read())
        new = self.said[before:]
        expiry = self._expiry()
        assert all(expires_at == expiry for _, expires_at in new), "the newest fact bears it out"
        assert len(new) <= 1, "the most urgent due stage only"
        assert len(set(self.said)) == len(self.said), "said once"
        for _, expires_at in new:
            leads = [LEADS[stage] for stage, date in self.said if date == expires_at]
            assert leads == sorted(leads, reverse=True), "only ever more urgent"
        if expiry is not None:
            due = [name for name, lead in LEADS.items() if expiry - lead <= self.now]
            if due:
                urgent = min(due, key=LEADS.__getitem__)
                assert (urgent, expiry) in self.said, "nothing that is due is left unsaid"

    def _expiry(self) -> datetime | None:
        match self.heard.body if self.heard else None:
            case TokenIssuedV1() | TokenRefreshedV1() as body:
                return body.expires_at
            case _:
                return None

    async def _read(self) -> list[Said]:
        rows = await self.deps.pool.fetch(
            "SELECT convert_from(payload, 'utf8')::jsonb AS body FROM outbox WHERE key = $1 ORDER BY id",
            str(self.token.token_id),
        )
        return [(row["body"].get("stage", "expired"), datetime.fromisoformat(_date(row["body"]))) for row in rows]


def _date(body: dict[str, Any]) -> str:
    date: str = body.get("expires_at") or body["expired_at"]
    return date


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
