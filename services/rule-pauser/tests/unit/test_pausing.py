"""The rules about rules, over every order of what can happen (model: what a person would expect)."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
)
from common.runtime.ids import new_id
from rule_pauser.core.grants import KnownGrant, Life, next_grant
from rule_pauser.core.pausing import (
    Mode,
    PauseReason,
    Reconciled,
    Rule,
    RuleActor,
    RuleOutcome,
    Why,
    reconcile,
    resume_by_hand,
)

PERSON = RuleActor("01990000-0000-7000-8000-000000000002", "a person", UUID("01990000-0000-7000-8000-000000000002"))

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
TOKENS = tuple(new_id() for _ in range(3))
ACCOUNTS = tuple(new_id() for _ in range(3))
RULE = Rule(new_id(), new_id(), "Stop losers", enabled=True, revision=1, version=1)


def reason(number: int, version: int = 1) -> PauseReason:
    return PauseReason(
        ACCOUNTS[number],
        f"Shop {number}",
        TOKENS[number],
        "meta",
        TokenKind.PLATFORM_OAUTH,
        Why.TOKEN_REVOKED,
        RevocationCause.USER_REVOKED,
        version,
        NOW + timedelta(seconds=number),
    )


class PauseReasons(RuleBasedStateMachine):
    """One rule on three accounts; deaths, recoveries, reconciling at any moment, a person, the workspace's switch."""

    def __init__(self) -> None:
        super().__init__()
        self.rule = RULE
        self.dead: set[int] = set()
        self.mode = Mode.ON
        self.now = NOW
        self.events: list[RuleOutcome] = []
        self.edited_while_paused = False
        self.reconciled = True

    def _apply(self, item: Reconciled) -> None:
        assert item.rule.version >= self.rule.version
        assert (item.rule.version > self.rule.version) == (item.outcome is not RuleOutcome.NONE), (
            "no change without a mark"
        )
        if item.outcome in {RuleOutcome.PAUSED, RuleOutcome.RESUMED} and item.pause is not None:
            self.events.append(item.outcome)
        self.rule = item.rule
        if self.rule.auto_paused_at is None:
            self.edited_while_paused = False

    def _blocked(self) -> tuple[PauseReason, ...]:
        return tuple(reason(number) for number in sorted(self.dead))

    @rule(number=st.integers(0, 2))
    def token_dies(self, number: int) -> None:
        self.dead.add(number)
        self.reconciled = False

    @rule(number=st.integers(0, 2))
    def token_recovers(self, number: int) -> None:
        self.dead.discard(number)
        self.reconciled = False

    @rule(times=st.integers(1, 3))
    def reconcile(self, times: int) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=1)
            self._apply(reconcile(self.rule, self._blocked(), self.mode, self.now))
        again = reconcile(self.rule, self._blocked(), self.mode, self.now)
        assert again.outcome is RuleOutcome.NONE, "a second look finds nothing to do"
        self.reconciled = True

    @rule()
    def person_pauses(self) -> None:
        if self.rule.person_paused_at is None:
            self.rule = replace(self.rule, person_paused_at=self.now, version=self.rule.version + 1)

    @rule()
    def person_resumes(self) -> None:
        if self._blocked() and self.mode is Mode.ON:
            return  # refused, with the cause and the link
        self._apply(resume_by_hand(self.rule, self._blocked() if self.mode is Mode.DRY_RUN else (), PERSON))

    @rule(enabled=st.booleans())
    def person_edits(self, *, enabled: bool) -> None:
        self.rule = replace(self.rule, enabled=enabled, revision=self.rule.revision + 1, version=self.rule.version + 1)
        self.edited_while_paused = self.rule.auto_paused_at is not None
        self.reconciled = False

    @rule(mode=st.sampled_from(Mode))
    def workspace_chooses(self, mode: Mode) -> None:
        self.mode = mode
        self.reconciled = False

    @invariant()
    def events_alternate(self) -> None:
        for first, second in zip(self.events, self.events[1:], strict=False):
            assert (first, second) != (RuleOutcome.RESUMED, RuleOutcome.RESUMED)

    @invariant()
    def a_person_always_wins(self) -> None:
        if self.rule.person_paused_at is not None or not self.rule.enabled:
            assert not self.rule.running

    @invariant()
    def paused_exactly_when_it_should_be(self) -> None:
        if not self.reconciled or self.rule.person_paused_at is not None or not self.rule.enabled:
            return
        if self.mode is Mode.ON and self.dead:
            assert self.rule.auto_paused_at is not None
        elif self.mode is not Mode.ON or not self.edited_while_paused:
            assert self.rule.auto_paused_at is None

    @invariant()
    def the_pause_and_its_reasons_agree(self) -> None:
        if self.reconciled:
            wanted = set() if self.mode is Mode.OFF else {ACCOUNTS[number] for number in self.dead}
            if self.rule.auto_paused_at is not None:
                assert {item.account_id for item in self.rule.reasons} == wanted


test_pause_reasons_model = PauseReasons.TestCase
test_pause_reasons_model.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


REF = TokenRef(
    token_id=TOKENS[0],
    kind=TokenKind.PLATFORM_OAUTH,
    provider="meta",
    workspace_id=RULE.workspace_id,
    owner_user_id=new_id(),
    version=1,
)


@dataclass
class Tale:
    """One grant's true story, an event at a time, and what is true in the end."""

    version: int = 0
    now: datetime = NOW
    ends: dict[int, datetime] = field(default_factory=dict)
    revoked: bool = False
    announced: set[datetime] = field(default_factory=set)
    events: list[Event[EventBody]] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        return self.ends[max(self.ends)] if self.ends else NOW

    @property
    def truth(self) -> Life:
        if self.revoked:
            return Life.REVOKED
        return Life.EXPIRED if any(end >= self.end for end in self.announced) else Life.LIVE

    def go_on(self, move: str, days: int, lag: int) -> None:
        self.now += timedelta(days=1)
        match move:
            case "consents":
                self._live(max(self.end, self.now + timedelta(days=days)) if lag else self.now + timedelta(days=days))
            case "refreshes" if not self.revoked and self.end > self.now:
                self._live(self.end if lag else self.now + timedelta(days=days))
            case "dies" if not self.revoked and self.end > self.now:
                self.revoked = True
                body = TokenRevokedV1(
                    token=self._ref(), cause=RevocationCause.USER_REVOKED, detected_by=DetectedBy.USER
                )
                self._tell(body)
            case "ends" if self.ends:
                self.now = max(self.now, self.end)
                versions = sorted(version for version, end in self.ends.items() if end <= self.now)
                version = versions[max(len(versions) - 1 - lag, 0)]
                self.announced.add(self.ends[version])
                ref = REF.model_copy(update={"version": version})
                self._tell(TokenExpiredV1(token=ref, expired_at=self.ends[version]))

    def _live(self, end: datetime) -> None:
        ref, again = self._ref(), bool(self.ends)
        self.ends[ref.version], self.revoked = end, False
        if again and self.version % 2:
            self._tell(TokenRefreshedV1(token=ref, expires_at=end, rotated=False))
        else:
            self._tell(TokenIssuedV1(token=ref, how=IssuedHow.REAUTHORIZE, expires_at=end))

    def _ref(self) -> TokenRef:
        self.version += 1
        return REF.model_copy(update={"version": self.version})

    def _tell(self, body: EventBody) -> None:
        self.events.append(Event(id=new_id(), time=self.now, source="test", body=body))


moves = st.tuples(
    st.sampled_from(["consents", "refreshes", "dies", "ends"]), st.sampled_from([2, 9, 60]), st.integers(0, 2)
)


@settings(max_examples=400, deadline=None)
@given(st.lists(moves, min_size=1, max_size=9), st.data())
def test_deliveries_model(story: list[tuple[str, int, int]], data: st.DataObject) -> None:
    """In whatever order events come, however often, the same grant is stored in the end: the one that is true."""
    told = Tale()
    for move, days, lag in story:
        told.go_on(move, days, lag)
    if not told.events:
        return
    known: KnownGrant | None = None
    order = data.draw(st.permutations([*told.events, *data.draw(st.lists(st.sampled_from(told.events), max_size=4))]))
    for event in order:
        after = next_grant(known, event)
        if after is not None:
            assert after != known
            assert known is None or after.version >= known.version
            known = after
    assert known is not None
    assert known.life is told.truth
    if told.truth is not Life.REVOKED:
        assert known.expires_at == told.end
    if told.truth is Life.EXPIRED:
        assert known.since == told.end
    for event in order:
        assert next_grant(known, event) is None, "what is heard again changes nothing"


@pytest.mark.parametrize(("version", "life"), [(5, Life.EXPIRED), (4, Life.LIVE)])
def test_an_end_of_this_very_version_counts_where_no_end_was_known(version: int, life: Life) -> None:
    ref = REF.model_copy(update={"version": version})
    told = Event(id=new_id(), time=NOW, source="test", body=TokenExpiredV1(token=ref, expired_at=NOW))
    after = next_grant(KnownGrant(5, Life.LIVE, NOW), told)
    assert after is not None
    assert (after.life, after.version, after.passed_at) == (life, 5, NOW)


@pytest.mark.parametrize("kind", [TokenKind.SESSION, TokenKind.TELEGRAM_LINK])
def test_kinds_without_accounts_are_none_of_our_business(kind: TokenKind) -> None:
    token = TokenRef(
        token_id=new_id(), kind=kind, provider="wevion", workspace_id=new_id(), owner_user_id=new_id(), version=1
    )
    body = TokenRevokedV1(token=token, cause=RevocationCause.SIGNED_OUT, detected_by=DetectedBy.USER)
    assert next_grant(None, Event(id=new_id(), time=NOW, source="session-svc", body=body)) is None


def test_the_reason_is_told_in_words() -> None:
    item = reconcile(RULE, (reason(1), reason(0)), Mode.ON, NOW)
    assert (
        item.words == "Paused automatically: the Meta connection of Shop 0 has ended: somebody removed Wevion at Meta."
    )
