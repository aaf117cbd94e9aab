"""The rules about rules, over every order of what can happen (model: what a person would expect)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
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
from rule_pauser.core.grants import Grant, Life, judge
from rule_pauser.core.pausing import Mode, Outcome, Reason, Rule, Settled, Why, resume_by_hand, settle

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
TOKENS = tuple(new_id() for _ in range(3))
ACCOUNTS = tuple(new_id() for _ in range(3))
RULE = Rule(new_id(), new_id(), "Stop losers", enabled=True, revision=1, version=1)


def reason(number: int, version: int = 1) -> Reason:
    return Reason(
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
    """One rule on three accounts; deaths, recoveries, settling at any moment, a person, the workspace's switch."""

    def __init__(self) -> None:
        super().__init__()
        self.rule = RULE
        self.dead: set[int] = set()
        self.mode = Mode.ON
        self.now = NOW
        self.events: list[Outcome] = []
        self.edited_while_paused = False
        self.settled = True

    def _apply(self, item: Settled) -> None:
        assert item.rule.version >= self.rule.version
        assert (item.rule.version > self.rule.version) == (item.outcome is not Outcome.NONE), "no change without a mark"
        if item.outcome in {Outcome.PAUSED, Outcome.RESUMED} and item.pause is not None:
            self.events.append(item.outcome)
        self.rule = item.rule
        if self.rule.auto_paused_at is None:
            self.edited_while_paused = False

    def _blocked(self) -> tuple[Reason, ...]:
        return tuple(reason(number) for number in sorted(self.dead))

    @rule(number=st.integers(0, 2))
    def token_dies(self, number: int) -> None:
        self.dead.add(number)
        self.settled = False

    @rule(number=st.integers(0, 2))
    def token_recovers(self, number: int) -> None:
        self.dead.discard(number)
        self.settled = False

    @rule(times=st.integers(1, 3))
    def settle(self, times: int) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=1)
            self._apply(settle(self.rule, self._blocked(), self.mode, self.now))
        again = settle(self.rule, self._blocked(), self.mode, self.now)
        assert again.outcome is Outcome.NONE, "a second look finds nothing to do"
        self.settled = True

    @rule()
    def person_pauses(self) -> None:
        if self.rule.person_paused_at is None:
            self.rule = replace(self.rule, person_paused_at=self.now, version=self.rule.version + 1)

    @rule()
    def person_resumes(self) -> None:
        if self._blocked() and self.mode is Mode.ON:
            return  # refused, with the cause and the link
        self._apply(resume_by_hand(self.rule, self._blocked() if self.mode is Mode.DRY_RUN else ()))

    @rule(enabled=st.booleans())
    def person_edits(self, *, enabled: bool) -> None:
        self.rule = replace(self.rule, enabled=enabled, revision=self.rule.revision + 1, version=self.rule.version + 1)
        self.edited_while_paused = self.rule.auto_paused_at is not None
        self.settled = False

    @rule(mode=st.sampled_from(Mode))
    def workspace_chooses(self, mode: Mode) -> None:
        self.mode = mode
        self.settled = False

    @invariant()
    def events_alternate(self) -> None:
        for first, second in zip(self.events, self.events[1:], strict=False):
            assert (first, second) != (Outcome.RESUMED, Outcome.RESUMED)

    @invariant()
    def a_person_always_wins(self) -> None:
        if self.rule.person_paused_at is not None or not self.rule.enabled:
            assert not self.rule.running

    @invariant()
    def paused_exactly_when_it_should_be(self) -> None:
        if not self.settled or self.rule.person_paused_at is not None or not self.rule.enabled:
            return
        if self.mode is Mode.ON and self.dead:
            assert self.rule.auto_paused_at is not None
        elif self.mode is not Mode.ON or not self.edited_while_paused:
            assert self.rule.auto_paused_at is None

    @invariant()
    def the_pause_and_its_reasons_agree(self) -> None:
        if self.settled:
            wanted = set() if self.mode is Mode.OFF else {ACCOUNTS[number] for number in self.dead}
            if self.rule.auto_paused_at is not None:
                assert {item.account_id for item in self.rule.reasons} == wanted


test_pause_reasons_model = PauseReasons.TestCase
test_pause_reasons_model.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class Deliveries(RuleBasedStateMachine):
    """One grant; deliveries of its events in any order, repeated, some lost: the newest that came counts."""

    def __init__(self) -> None:
        super().__init__()
        self.ref = TokenRef(
            token_id=TOKENS[0],
            kind=TokenKind.PLATFORM_OAUTH,
            provider="meta",
            workspace_id=RULE.workspace_id,
            owner_user_id=new_id(),
            version=1,
        )
        self.version = 0
        self.made: list[Event[EventBody]] = []
        self.newest = 0
        self.held: Grant | None = None
        self.expiry = NOW

    def _make(self, body: EventBody) -> None:
        self.made.append(Event(id=new_id(), time=NOW, source="oauth-svc", body=body))

    def _next(self) -> TokenRef:
        self.version += 1
        return self.ref.model_copy(update={"version": self.version})

    @rule(renews=st.booleans())
    def owner_renews(self, *, renews: bool) -> None:
        self.expiry += timedelta(days=renews)
        self._make(TokenRefreshedV1(token=self._next(), expires_at=self.expiry, rotated=False))

    @rule()
    def owner_loses(self) -> None:
        cause = RevocationCause.USER_REVOKED
        self._make(TokenRevokedV1(token=self._next(), cause=cause, detected_by=DetectedBy.WEBHOOK))

    @rule()
    def person_re_authorises(self) -> None:
        self.expiry += timedelta(days=60)
        self._make(TokenIssuedV1(token=self._next(), how=IssuedHow.REAUTHORIZE, expires_at=self.expiry))

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if not self.made:
            return
        event = data.draw(st.sampled_from(self.made))
        after = judge(self.held, event)
        version = event.body.aggregate_version()
        assert (after is not None) == (version > self.newest)
        if after is not None:
            self.held, self.newest = after, version

    @rule(late=st.integers(0, 3))
    def watcher_says_expired(self, late: int) -> None:
        """Derived from a version that may be old news by now."""
        version = max(self.version - late, 1)
        told = Event(
            id=new_id(),
            time=NOW,
            source="expiry-watcher",
            body=TokenExpiredV1(
                token=self.ref.model_copy(update={"version": version}),
                expired_at=self.expiry - timedelta(days=60 if late else 0),
            ),
        )
        after = judge(self.held, told)
        if after is not None:
            assert after.life is Life.EXPIRED
            assert self.held is None or self.held.life is Life.LIVE or version > self.held.version
            if self.held is not None and self.held.expires_at is not None and version <= self.held.version:
                assert self.held.expires_at <= told.body.expired_at
            self.held, self.newest = after, max(self.newest, version)

    @invariant()
    def held_is_never_newer_than_made(self) -> None:
        assert self.held is None or self.held.version <= max(self.version, 1)


test_deliveries_model = Deliveries.TestCase
test_deliveries_model.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("kind", [TokenKind.SESSION, TokenKind.TELEGRAM_LINK])
def test_kinds_without_accounts_are_none_of_our_business(kind: TokenKind) -> None:
    token = TokenRef(
        token_id=new_id(), kind=kind, provider="wevion", workspace_id=new_id(), owner_user_id=new_id(), version=1
    )
    body = TokenRevokedV1(token=token, cause=RevocationCause.SIGNED_OUT, detected_by=DetectedBy.USER)
    assert judge(None, Event(id=new_id(), time=NOW, source="session-svc", body=body)) is None


def test_the_reason_is_told_in_words() -> None:
    item = settle(RULE, (reason(1), reason(0)), Mode.ON, NOW)
    assert (
        item.words == "Paused automatically: the Meta connection of Shop 0 has ended: the user removed Wevion at Meta."
    )
