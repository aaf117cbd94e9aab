"""rule-pauser against a model of it: random orders, repetitions and losses of events, crashes, and a person.

Runs on a real PostgreSQL, because the version checks are statements. After reconciling, a rule has to be paused
exactly when the facts that were heard of say so, for exactly those reasons; a person's pause is kept; what is heard
again, or reconciled again, changes nothing and says nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    Event,
    EventBody,
    IncidentState,
    IssuedHow,
    PlatformIncidentV1,
    TokenEvent,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenRefreshedV1,
    TokenRevokedV1,
)
from common.postgres import open_pool
from common.runtime.ids import new_id
from common.testing.stack import DatabaseFactory
from rule_pauser.core.pausing import Mode, RuleActor, Why
from rule_pauser.operations import choose_mode, hear, pause_for_incidents, pause_rule, resume_rule

PERSON = RuleActor("01990000-0000-7000-8000-000000000002", "a person", UUID("01990000-0000-7000-8000-000000000002"))

PATIENCE = timedelta(hours=6)
#: A renewal can bring the end closer: platforms shorten lifetimes.
LIVES = (timedelta(days=20), timedelta(days=2), timedelta(hours=3))

Grants = Callable[..., Any]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass
class Heard:
    """What the delivered events say, told in a way that does not depend on their order."""

    owner: dict[UUID, dict[int, TokenEvent]] = field(default_factory=dict)
    ends: dict[UUID, dict[int, datetime]] = field(default_factory=dict)
    access: dict[UUID, tuple[tuple[int, datetime], AccountAccess]] = field(default_factory=dict)
    incidents: dict[str, dict[UUID, PlatformIncidentV1]] = field(default_factory=dict)
    pausing: set[UUID] = field(default_factory=set)

    def add(self, event: Event[EventBody]) -> None:
        match event.body:
            case TokenExpiredV1() as body:
                self.ends.setdefault(body.token.token_id, {})[body.token.version] = body.expired_at
            case TokenEvent() as body:
                self.owner.setdefault(body.token.token_id, {})[body.token.version] = body
            case AccountAccessChangedV1() as body:
                said = ((body.version, event.time), body.access)
                self.access[body.account.account_id] = max(said, self.access.get(body.account.account_id, said))
            case PlatformIncidentV1() as body:
                known = self.incidents.setdefault(body.provider, {})
                held = known.get(body.incident_id, body)
                known[body.incident_id] = max(body, held, key=lambda each: each.version)

    def begin_pausing(self, now: datetime) -> None:
        for provider in self.incidents:
            found = self.incident(provider)
            if found is not None and found.since + PATIENCE <= now:
                self.pausing.add(found.incident_id)

    def incident(self, provider: str) -> PlatformIncidentV1 | None:
        """The open incident of a platform: its latest one, if that is not closed."""
        known = self.incidents.get(provider, {}).values()
        newest = max(known, key=lambda each: each.since, default=None)
        return newest if newest is not None and newest.state is IncidentState.OPENED else None

    def dead(self, token_id: UUID) -> Why | None:
        owner, ends = self.owner.get(token_id, {}), self.ends.get(token_id, {})
        newest = max(owner, default=0)
        if max(ends, default=0) > newest:
            return Why.TOKEN_EXPIRED  # derived from a fact that we have not heard of
        match owner.get(newest):
            case TokenRevokedV1():
                return Why.TOKEN_REVOKED
            case TokenIssuedV1() | TokenRefreshedV1() as body if body.expires_at is not None and ends:
                return Why.TOKEN_EXPIRED if body.expires_at <= max(ends.values()) else None
            case _:
                return None

    def trouble(self, grant: Any, account_id: UUID) -> Why | None:
        """Why an account does not work."""
        dead = self.dead(grant.token_id)
        if dead is not None:
            return dead
        if self.access.get(account_id, (None, AccountAccess.GRANTED))[1] is AccountAccess.LOST:
            return Why.ACCESS_LOST
        known = grant.token_id in self.owner or grant.token_id in self.ends or account_id in self.access
        found = self.incident(grant.provider)
        return Why.PLATFORM_INCIDENT if known and found is not None and found.incident_id in self.pausing else None


@dataclass
class Wish:
    """What people want of one rule."""

    rule_id: UUID
    grants: dict[UUID, Any]
    revision: int = 1
    paused_by_hand_at: datetime | None = None
    edited_while_paused: bool = False


class Pauser(RuleBasedStateMachine):
    """Two grants at two platforms, three rules, their people, and the pauser's database."""

    def __init__(self, run: Run, house: Any, grant: Grants) -> None:
        super().__init__()
        self.run, self.house, self.deps = run, house, house.deps
        self.grants = (grant(accounts=2, provider=f"one-{new_id()}"), grant(provider=f"two-{new_id()}"))
        self.now: datetime = self.grants[0].at
        self.lives: dict[UUID, dict[int, datetime]] = {each.token_id: {} for each in self.grants}
        self.open: dict[str, PlatformIncidentV1] = {}
        self.revoked: set[UUID] = set()
        self.mode = Mode.ON
        self.made: list[Event[EventBody]] = []
        self.heard = Heard()
        self.delivered: list[Event[EventBody]] = []
        first, second = self.grants
        wanted: tuple[dict[UUID, Any], ...] = (
            {first.account_ids[0]: first},
            {first.account_ids[1]: first, second.account_ids[0]: second},
            {second.account_ids[0]: second},
        )
        self.run(choose_mode(self.deps, first.workspace_id, Mode.ON, new_id(), self.now))
        self.wishes = [Wish(self.run(house.define(*accounts)), accounts) for accounts in wanted]

    def _tick(self, by: timedelta = timedelta(seconds=1)) -> datetime:
        self.now += by
        return self.now

    def _make(self, body: EventBody) -> None:
        self.made.append(Event(id=new_id(), time=self.now, source="test", body=body))

    def _next(self, grant: Any) -> Any:
        self._tick()
        grant.version += 1
        return grant.ref()

    def _end(self, grant: Any) -> datetime | None:
        lives = self.lives[grant.token_id]
        return lives[max(lives)] if lives else None

    def _alive(self, grant: Any) -> bool:
        end = self._end(grant)
        return grant.token_id not in self.revoked and end is not None and end > self.now

    @rule(which=st.integers(0, 1), life=st.sampled_from(LIVES), same=st.booleans())
    def a_person_consents(self, which: int, life: timedelta, *, same: bool) -> None:
        grant, end = self.grants[which], self._end(self.grants[which])
        how = IssuedHow.REAUTHORIZE if end else IssuedHow.CONNECT
        ref = self._next(grant)
        if not same or end is None or end <= self.now:
            end = self.now + life
        self.lives[grant.token_id][ref.version] = end
        self.revoked.discard(grant.token_id)
        self._make(TokenIssuedV1(token=ref, how=how, expires_at=end))

    @rule(which=st.integers(0, 1), life=st.sampled_from((*LIVES, None, None, None)))
    def a_refresh(self, which: int, life: timedelta | None) -> None:
        """Silent; it may keep the end, or bring it closer."""
        grant, end = self.grants[which], self._end(self.grants[which])
        if not self._alive(grant) or end is None:
            return
        ref = self._next(grant)
        end = end if life is None else self.now + life
        self.lives[grant.token_id][ref.version] = end
        self._make(TokenRefreshedV1(token=ref, expires_at=end, rotated=False))

    @rule(which=st.integers(0, 1))
    def a_death(self, which: int) -> None:
        grant = self.grants[which]
        if self._alive(grant):
            self._tick()
            self.revoked.add(grant.token_id)
            grant.at = self.now
            self.made.append(grant.revoked())

    @rule(which=st.integers(0, 1), data=st.data())
    def the_end_is_announced(self, which: int, data: st.DataObject) -> None:
        """By a watcher that may lag behind: of any life whose end has passed by then."""
        grant, end = self.grants[which], self._end(self.grants[which])
        if end is not None:
            self._tick(max(end - self.now, timedelta(seconds=1)))
        passed = {version: end for version, end in self.lives[grant.token_id].items() if end <= self.now}
        if passed:
            version = data.draw(st.sampled_from(sorted(passed)))
            ref = grant.ref().model_copy(update={"version": version})
            self._make(TokenExpiredV1(token=ref, expired_at=passed[version]))

    @rule(which=st.integers(0, 1), number=st.integers(0, 1), access=st.sampled_from(AccountAccess))
    def access_changes(self, which: int, number: int, access: AccountAccess) -> None:
        grant = self.grants[which]
        if self._alive(grant) and number < len(grant.accounts):
            end = self._end(grant)
            grant.at = self._tick()
            self.made.append(grant.access(access, number))
            self.lives[grant.token_id][grant.version] = cast("datetime", end)

    @rule(which=st.integers(0, 1))
    def an_incident_begins_or_ends(self, which: int) -> None:
        self._tick()
        provider = self.grants[which].provider
        known = self.open.pop(provider, None)
        if known is not None:
            self._make(known.model_copy(update={"state": IncidentState.CLOSED, "version": 2}))
            return
        self.open[provider] = PlatformIncidentV1(
            incident_id=new_id(),
            provider=provider,
            state=IncidentState.OPENED,
            tokens_affected=9,
            since=self.now,
            version=1,
        )
        self._make(self.open[provider])

    @rule(hours=st.sampled_from((1, 7, 60, 600)))
    def time_passes(self, hours: int) -> None:
        self._tick(timedelta(hours=hours))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if self.made:
            for event in data.draw(st.lists(st.sampled_from(self.made), min_size=1, max_size=6)):
                self._deliver(event)

    @rule(data=st.data(), steps=st.integers(0, 40))
    def crash_while_hearing(self, data: st.DataObject, steps: int) -> None:
        """The process dies somewhere in the middle; the event was not committed to the group, so it comes again."""
        if self.made:
            event = data.draw(st.sampled_from(self.made))
            self.run(_cut_short(hear(self.deps, event, self.now), steps))
            self._deliver(event)

    @rule(steps=st.integers(0, 60))
    def crash_while_reconciling(self, steps: int) -> None:
        self.run(_cut_short(self.house.reconcile(self.now), steps))

    @rule(times=st.integers(1, 2))
    def reconcile(self, times: int) -> None:
        for _ in range(times):
            self.run(pause_for_incidents(self.deps, self.now))
            self.heard.begin_pausing(self.now)
            self.run(self.house.reconcile(self.now))
        self._check()

    @rule(data=st.data())
    def everything_heard_comes_again(self, data: st.DataObject) -> None:
        """As from a relay that was thought dead: what has been said is said again, in any order, and means nothing."""
        self.reconcile(1)
        before = self.run(self.house.sent())
        for event in data.draw(st.permutations(self.delivered[-12:])):
            self.run(hear(self.deps, event, self.now))
        self.reconcile(1)
        assert self.run(self.house.sent()) == before

    @rule(which=st.integers(0, 2))
    def a_person_pauses(self, which: int) -> None:
        wish = self.wishes[which]
        self.run(pause_rule(self.deps, wish.rule_id, None, PERSON, self._tick()))
        wish.paused_by_hand_at = wish.paused_by_hand_at or self.now

    @rule(which=st.integers(0, 2))
    def a_person_resumes(self, which: int) -> None:
        self.reconcile(1)
        wish = self.wishes[which]
        blocked = self.run(resume_rule(self.deps, wish.rule_id, None, PERSON, self._tick()))
        assert (blocked is not None) == bool(self.mode is Mode.ON and self._blocked(wish))
        if blocked is None:
            wish.paused_by_hand_at, wish.edited_while_paused = None, False

    @rule(which=st.integers(0, 2))
    def a_person_edits(self, which: int) -> None:
        self.reconcile(1)
        wish = self.wishes[which]
        wish.revision += 1
        wish.edited_while_paused = self.run(self.house.paused(wish.rule_id))
        self.run(self.house.define(*wish.grants, rule_id=wish.rule_id, revision=wish.revision))

    @rule(mode=st.sampled_from((Mode.ON, Mode.OFF)))
    def the_workspace_chooses(self, mode: Mode) -> None:
        self.mode = mode
        self.run(choose_mode(self.deps, self.grants[0].workspace_id, mode, new_id(), self._tick()))

    def teardown(self) -> None:
        """At last everything arrives; then what is true is what is done."""
        for event in reversed(self.made):
            self._deliver(event)
        self.reconcile(2)

    def _deliver(self, event: Event[EventBody]) -> None:
        self.run(hear(self.deps, event, self.now))
        self.heard.add(event)
        self.delivered.append(event)

    def _blocked(self, wish: Wish) -> dict[UUID, Why]:
        found = {account: self.heard.trouble(grant, account) for account, grant in wish.grants.items()}
        return {account: why for account, why in found.items() if why is not None}

    def _check(self) -> None:
        for wish in self.wishes:
            held = self.run(self.house.rule(wish.rule_id)).rule
            blocked = self._blocked(wish) if self.mode is Mode.ON else {}
            assert {reason.account_id: reason.why for reason in held.reasons} == blocked
            assert held.person_paused_at == wish.paused_by_hand_at, "a person's pause is kept, and only a person's"
            if held.auto_paused_at is None:
                wish.edited_while_paused = False
            if wish.paused_by_hand_at is None:
                assert held.running == (not blocked and not wish.edited_while_paused)
                assert held.held == (not blocked and wish.edited_while_paused)


async def _cut_short(work: Coroutine[Any, Any, Any], steps: int) -> None:
    task = asyncio.ensure_future(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.timeout(300)  # thousands of transactions, on machines that do other things too
async def test_rules_are_paused_exactly_when_they_should_be(
    database: DatabaseFactory, grant: Grants, house_on: Callable[[Any], Any]
) -> None:
    dsn = await database("rule_pauser")

    def drive() -> None:
        with asyncio.Runner() as runner:
            pool = runner.run(open_pool(dsn, application_name="model"))
            try:
                run_state_machine_as_test(
                    cast("type[Pauser]", lambda: Pauser(runner.run, house_on(pool), grant)),
                    settings=settings(
                        max_examples=30,
                        stateful_step_count=25,
                        deadline=None,
                        suppress_health_check=list(HealthCheck),
                    ),
                )
            finally:
                runner.run(pool.close())

    await asyncio.to_thread(drive)
