"""Random orders, repetitions, losses and crashes against a model.

At most one message per person and fact, none after a renewal that is known, and in the end what is true is open.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    NoticeChannel,
    RevocationCause,
    RulePausedV1,
    RuleResumedV1,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.postgres import Pool, open_pool, transaction
from common.runtime.ids import new_id
from common.testing import ManualClock
from notifier.app import load_texts
from notifier.channels.email.channel import MailChannel, MailServer
from notifier.channels.email.letters import Letters
from notifier.channels.throttle import Throttle
from notifier.core.conditions import OLD_NEWS, escalates
from notifier.core.delivery import Outcome, SendOutcome
from notifier.core.routing import Pace, Person
from notifier.operations import events, sending
from notifier.operations.deps import Deps
from notifier.store import people

START = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
LIFE = timedelta(days=20)
#: A renewal can bring the end closer: platforms shorten lifetimes.
LIVES = (LIFE, timedelta(days=6), timedelta(hours=12))
CAUSES = (RevocationCause.USER_REVOKED, RevocationCause.COMPROMISE, RevocationCause.DISCONNECTED)
STAGES = {"14d": timedelta(days=14), "7d": timedelta(days=7), "1d": timedelta(days=1)}


class CrashError(Exception):
    """The process ends here."""


class Wire(MailChannel):
    """A mail server that sees every presentation; the process may die right after one."""

    def __init__(self) -> None:
        clock = ManualClock(START)
        super().__init__(
            MailServer(host="unused", port=1, sender="Wevion <notices@wevion.example>"),
            letters=Letters(load_texts("http://wevion.example"), None),
            throttle=Throttle(rate=1, burst=1, clock=clock),
            clock=clock,
        )
        self.presented: list[UUID] = []
        self.crash = False

    async def send(self, parcel: Any) -> Outcome:
        self.presented.append(parcel.delivery_id)
        if self.crash:
            raise CrashError
        return Outcome(SendOutcome.ACCEPTED)


@dataclass
class Truth:
    """One token as its owner knows it, and what the notifier was told of it."""

    ref: TokenRef
    status: TokenStatus = TokenStatus.ACTIVE
    expires_at: datetime = START + LIFE
    since: datetime = START
    told: dict[int, tuple[TokenStatus, datetime]] = field(default_factory=dict)
    warned_version: int = 0
    warned_stage: str = ""
    disconnected: bool = False
    rule_id: UUID = field(default_factory=new_id)
    rule_version: int = 1
    rule_paused_at: datetime | None = None

    def known(self) -> tuple[TokenStatus, datetime] | None:
        return self.told[max(self.told)] if self.told else None


class Notices(RuleBasedStateMachine):
    """What can happen, in any order."""

    dsn: ClassVar[str]
    reset: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock(START)
        self.wire = Wire()
        self.events: list[Event[EventBody]] = []
        self.heard = 0
        self.pool: Pool
        self.deps: Deps
        self.truths: list[Truth] = []

    def teardown(self) -> None:
        try:
            if self.truths:
                self._end()
        finally:
            self.runner.run(self.pool.close())
            self.runner.close()

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.pool = await open_pool(self.dsn, application_name="model", max_size=3)
        await self.pool.execute(self.reset)
        self.deps = Deps(
            pool=self.pool,
            texts=load_texts("http://wevion.example"),
            channels={NoticeChannel.EMAIL: self.wire},
            pace=Pace(cooldown=timedelta(0)),
        )
        owner = Person(user_id=new_id(), workspace_id=new_id(), name="Ada", email="ada@agency.example", role="owner")
        async with transaction(self.pool) as db:
            await people.replace(db, owner.workspace_id, [owner], now=START, next_at=START + timedelta(days=999))
        for provider in ("meta", "tiktok"):
            ref = TokenRef(
                token_id=new_id(),
                kind=TokenKind.PLATFORM_OAUTH,
                provider=provider,
                workspace_id=owner.workspace_id,
                owner_user_id=owner.user_id,
                version=1,
            )
            truth = Truth(ref)
            self.truths.append(truth)
            self._emit(truth, TokenIssuedV1(token=ref, how=IssuedHow.CONNECT, expires_at=truth.expires_at))

    # -- what happens to tokens

    @rule(which=st.integers(0, 1), cause=st.sampled_from(CAUSES))
    def revoke(self, which: int, cause: RevocationCause) -> None:
        truth = self.truths[which]
        if not truth.status.alive:
            return
        self._change(truth, TokenStatus.REVOKED)
        truth.disconnected = cause is RevocationCause.DISCONNECTED
        revoked = TokenRevokedV1(token=truth.ref, cause=cause, detected_by=DetectedBy.WEBHOOK)
        self._emit(truth, revoked)
        self._emit_state(truth, cause)

    @rule(which=st.integers(0, 1), silently=st.booleans(), life=st.sampled_from([*LIVES, None]))
    def renew(self, which: int, silently: bool, life: timedelta | None) -> None:
        truth = self.truths[which]
        if silently and not truth.status.alive:
            return
        if life is not None:  # no two ends in the same second, unless they are the same end
            truth.expires_at = self.clock.now() + life + timedelta(seconds=truth.ref.version)
        elif truth.expires_at <= self.clock.now():
            return
        self._change(truth, TokenStatus.ACTIVE)
        if not silently:
            how = IssuedHow.REAUTHORIZE
            self._emit(truth, TokenIssuedV1(token=truth.ref, how=how, expires_at=truth.expires_at))
        self._emit_state(truth)

    @rule(which=st.integers(0, 1), stage=st.sampled_from(sorted(STAGES)))
    def warn(self, which: int, stage: str) -> None:
        truth = self.truths[which]
        if not truth.status.alive or truth.expires_at <= self.clock.now():
            return
        truth.warned_version, truth.warned_stage = truth.ref.version, stage
        left = int((truth.expires_at - self.clock.now()).total_seconds())
        self._emit(truth, TokenExpiringV1(token=truth.ref, stage=stage, expires_at=truth.expires_at, remaining_s=left))

    @rule(which=st.integers(0, 1))
    def reach_full_expiry(self, which: int) -> None:
        truth = self.truths[which]
        if not truth.status.alive:
            return
        self.clock.set(max(self.clock.now(), truth.expires_at))
        self._emit(truth, TokenExpiredV1(token=truth.ref, expired_at=truth.expires_at))
        self._change(truth, TokenStatus.EXPIRED)
        self._emit_state(truth)

    @rule(which=st.integers(0, 1))
    def pause_or_resume_the_rule(self, which: int) -> None:
        """As rule-pauser does, some time after the token died or came back."""
        truth = self.truths[which]
        paused = truth.rule_paused_at is not None
        if paused is not truth.status.alive:
            return
        truth.rule_version += 1
        began = truth.rule_paused_at or self.clock.now()
        truth.rule_paused_at = None if paused else began
        kind = RuleResumedV1 if paused else RulePausedV1
        body = kind(
            rule_id=truth.rule_id,
            rule_name="Stop losers",
            workspace_id=truth.ref.workspace_id,
            account_id=truth.rule_id,
            token_id=truth.ref.token_id,
            reason="dead",
            auto_paused_at=began,
            version=truth.rule_version,
        )
        self._emit(truth, body)

    # -- what the wire and the machines do

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def deliver_any(self, data: st.DataObject) -> None:
        """A new event, an old one again, or one from long ago: with its own id, or from a relay that sent it anew."""
        event = data.draw(st.sampled_from(self.events))
        if data.draw(st.booleans()):
            event = Event(id=new_id(), time=event.time, source=event.source, body=event.body)
        self._deliver(event)

    @precondition(lambda self: self.events)
    @rule()
    def deliver_the_newest(self) -> None:
        self._deliver(self.events[-1])

    @precondition(lambda self: self.heard < len(self.events))
    @rule()
    def deliver_in_order(self) -> None:
        """What came since, each in its turn: as it mostly is."""
        news, self.heard = self.events[self.heard :], len(self.events)
        for event in news:
            self._deliver(event)

    @rule(minutes=st.sampled_from([1, 60, 60 * 24]), crash=st.booleans())
    def send(self, minutes: int, crash: bool) -> None:
        self.clock.advance(timedelta(minutes=minutes))
        before = len(self.wire.presented)
        self.wire.crash = crash
        try:
            self.runner.run(self._send())
        except* CrashError:
            self.runner.run(
                self.pool.execute("UPDATE delivery SET lease_until = now() - interval '1 s' WHERE lease_until > now()")
            )
        self.wire.crash = False
        self.runner.run(self._check(self.wire.presented[before:]))

    # -- the promises

    async def _send(self) -> None:
        while (await sending.send_due(self.deps, self.wire, self.clock.now())).more:
            pass

    async def _check(self, presented: list[UUID]) -> None:
        rows = await self.pool.fetch(
            """SELECT l.delivery_id, l.stage, c.code, c.subject_id, c.episode, c.expires_at
                 FROM delivery_line l JOIN notice n USING (notice_id) JOIN condition c USING (condition_id)
                WHERE l.delivery_id = ANY($1::uuid[]) AND l.purpose = 'alert' AND l.state <> 'dropped'""",
            list(set(self.wire.presented)),
        )
        facts = Counter((row["subject_id"], row["code"], row["episode"], row["stage"]) for row in rows)
        assert all(count == 1 for count in facts.values()), facts
        for row in rows:
            if row["delivery_id"] in presented:
                truth = next(truth for truth in self.truths if truth.ref.token_id == row["subject_id"])
                self._check_not_renewed(truth, row)

    def _check_not_renewed(self, truth: Truth, row: Any) -> None:
        known = truth.known()
        if known is None:
            return
        status, expires_at = known
        match row["code"]:
            case "TOKEN_REVOKED":
                assert status is TokenStatus.REVOKED
            case "TOKEN_EXPIRED":
                assert status is not TokenStatus.REVOKED
                assert expires_at <= row["expires_at"]
            case "RULES_PAUSED":
                assert not status.alive
            case "TOKEN_EXPIRING":
                assert status.alive
                assert expires_at <= row["expires_at"]
                assert self.clock.now() < row["expires_at"]

    def _end(self) -> None:
        """Everything arrives at last, once more and in order; then what is open is what is true."""
        before_the_end = self.clock.now()
        for event in self.events:
            self._deliver(event)
        self.clock.advance(timedelta(minutes=1))
        self.runner.run(self._send())
        open_now = self.runner.run(
            self.pool.fetch("SELECT subject_id, code, stage, expires_at FROM condition WHERE resolved_at IS NULL")
        )
        for truth in self.truths:
            mine = [row for row in open_now if row["subject_id"] == truth.ref.token_id]
            codes = [row["code"] for row in mine]
            if truth.status is TokenStatus.REVOKED and truth.disconnected:
                # Nobody is told what a person did; that rules stand still for it, everybody is, unless it is long ago.
                paused_at = truth.rule_paused_at
                fresh = paused_at is not None and self.clock.now() - paused_at < OLD_NEWS
                assert codes == ["RULES_PAUSED"] if fresh else codes in ([], ["RULES_PAUSED"])
                assert paused_at is not None or not codes
            elif truth.status is TokenStatus.REVOKED:
                assert codes == ["TOKEN_REVOKED"]
            elif truth.status is TokenStatus.EXPIRED:
                assert codes == ["TOKEN_EXPIRED"]
            else:
                assert codes in ([], ["TOKEN_EXPIRING"])
                if truth.warned_version == truth.ref.version and truth.expires_at > before_the_end:
                    assert [row["expires_at"] for row in mine] == [truth.expires_at]
                    assert not escalates(mine[0]["stage"], truth.warned_stage)
        assert self.runner.run(self._people_told_once())

    async def _people_told_once(self) -> bool:
        doubled = await self.pool.fetchval(
            """SELECT count(*) FROM (SELECT 1 FROM notice n JOIN condition c USING (condition_id)
                 GROUP BY n.user_id, c.subject_id, c.code, c.episode HAVING count(*) > 1) AS doubled"""
        )
        return bool(doubled == 0)

    # -- tools of the model

    def _change(self, truth: Truth, status: TokenStatus) -> None:
        truth.status, truth.since = status, self.clock.now()
        truth.ref = truth.ref.model_copy(update={"version": truth.ref.version + 1})

    def _emit_state(self, truth: Truth, cause: RevocationCause | None = None) -> None:
        state = TokenStateV1(
            token=truth.ref,
            status=truth.status,
            since=truth.since,
            expires_at=truth.expires_at,
            cause=cause,
            detected_by=DetectedBy.WEBHOOK if cause else None,
        )
        self._emit(truth, state)

    def _emit(self, _truth: Truth, body: EventBody) -> None:
        self.events.append(Event(id=new_id(), time=self.clock.now(), source="model", body=body))
        self.clock.advance(timedelta(milliseconds=1))  # no two facts have the same moment

    def _deliver(self, event: Event[EventBody]) -> None:
        self.runner.run(events.take(self.deps, event, self.clock.now()))
        body = event.body
        about = str(body.token_id) if isinstance(body, RulePausedV1 | RuleResumedV1) else body.subject()
        truth = next(truth for truth in self.truths if str(truth.ref.token_id) == about)
        match body:
            case TokenIssuedV1() if body.expires_at is not None:
                truth.told[body.token.version] = (TokenStatus.ACTIVE, body.expires_at)
            case TokenStateV1() if body.expires_at is not None:
                truth.told[body.token.version] = (body.status, body.expires_at)
            case TokenRevokedV1():
                before = truth.told.get(body.token.version - 1, (TokenStatus.ACTIVE, truth.expires_at))
                truth.told.setdefault(body.token.version, (TokenStatus.REVOKED, before[1]))
            case TokenExpiringV1():  # derived: of a newer version it tells the change too
                truth.told.setdefault(body.token.version, (TokenStatus.EXPIRING, body.expires_at))
            case TokenExpiredV1():
                truth.told.setdefault(body.token.version, (TokenStatus.EXPIRED, body.expired_at))


def test_one_message_per_person_and_fact_and_none_after_renewal(shared_dsn: str, empty_database: str) -> None:
    Notices.dsn, Notices.reset = shared_dsn, empty_database
    run_state_machine_as_test(
        Notices,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
