"""The revocation set: exact, bounded in time and memory, and never forgetting too early."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wevion_tokens.auth import Ending, Reason, RevocationSet, ending_for
from wevion_tokens.contracts import RevocationCause

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FORCED = ending_for(RevocationCause.ADMIN_FORCED)
KEEP = timedelta(hours=1, seconds=60)
SESSION, USER = uuid4(), uuid4()


def found(revocations: RevocationSet, session: UUID, user: UUID = USER, epoch: int = 0) -> Ending | None:
    return revocations.find(session.int, user.int, epoch)


def test_an_ended_session_is_found_and_no_other() -> None:
    revocations = RevocationSet()
    assert found(revocations, SESSION) is None
    assert revocations.end_session(SESSION, NOW, NOW, FORCED)
    assert found(revocations, SESSION) == FORCED
    for other in (uuid4(), UUID(int=0), UUID(int=SESSION.int ^ 1), UUID(int=SESSION.int ^ (1 << 127))):
        assert found(revocations, other) is None
    assert len(revocations) == 1


@pytest.mark.parametrize("cause", [None, *RevocationCause])
def test_the_cause_is_kept(cause: RevocationCause | None) -> None:
    revocations = RevocationSet()
    revocations.end_session(SESSION, NOW, NOW, ending_for(cause))
    ending = found(revocations, SESSION)
    assert ending is not None
    assert ending.cause is cause


def test_the_first_ending_stands() -> None:
    revocations = RevocationSet()
    revocations.end_session(SESSION, NOW, NOW, FORCED)
    revocations.end_session(SESSION, NOW, NOW, Ending(Reason.SESSION_EXPIRED))
    assert found(revocations, SESSION) == FORCED
    assert len(revocations) == 1


def test_what_is_past_is_not_taken_in() -> None:
    revocations = RevocationSet()
    assert not revocations.end_session(SESSION, NOW - KEEP, NOW, FORCED)
    assert not revocations.raise_epoch(USER, 5, NOW - KEEP, NOW, FORCED)
    assert revocations.end_session(SESSION, NOW - KEEP + timedelta(seconds=1), NOW, FORCED)


def test_it_is_kept_until_the_last_jwt_is_dead_and_then_forgotten() -> None:
    revocations = RevocationSet()
    revocations.end_session(SESSION, NOW, NOW, FORCED)
    revocations.raise_epoch(USER, 4, NOW, NOW, FORCED)
    revocations.evict_some(NOW + KEEP - timedelta(seconds=1), 256)
    assert found(revocations, SESSION) == FORCED
    assert found(revocations, uuid4(), USER, 3) == FORCED
    assert revocations.evict_some(NOW + KEEP, 256) == 1
    assert found(revocations, SESSION) is None
    assert found(revocations, uuid4(), USER, 3) is None
    assert len(revocations) == 0
    assert revocations.evict_some(NOW + KEEP, 256) == 0


def test_a_later_end_prolongs() -> None:
    revocations = RevocationSet()
    revocations.end_session(SESSION, NOW, NOW, FORCED)
    later = NOW + timedelta(minutes=5)
    revocations.end_session(SESSION, later, later, FORCED)
    revocations.evict_some(NOW + KEEP, 256)
    assert found(revocations, SESSION) == FORCED


@pytest.mark.parametrize("claimed", [datetime(2100, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_an_end_in_the_future_matters_no_longer_than_a_jwt_lives(claimed: datetime) -> None:
    revocations = RevocationSet()
    assert revocations.end_session(SESSION, claimed, NOW, FORCED)
    assert revocations.raise_epoch(USER, 2**40, claimed, NOW, FORCED)
    assert found(revocations, SESSION) == FORCED
    revocations.evict_some(NOW + KEEP + timedelta(seconds=61), 256)
    assert found(revocations, SESSION) is None
    assert found(revocations, uuid4(), USER, 3) is None


def test_a_set_is_complete_only_when_somebody_says_so() -> None:
    revocations = RevocationSet()
    assert not revocations.complete
    revocations.note_behind(NOW, 900)
    assert (revocations.complete, revocations.renew_before, revocations.behind_s(NOW)) == (False, 0, 0)
    revocations.note_in_step(NOW)
    assert (revocations.complete, revocations.renew_before) == (True, 0)


def test_a_set_that_fell_behind_asks_for_younger_tokens_until_it_is_in_step_again() -> None:
    revocations = RevocationSet()
    revocations.note_in_step(NOW)
    later = NOW + timedelta(minutes=15)
    revocations.note_behind(later, 900)
    assert revocations.renew_before == 0
    later += timedelta(minutes=10)
    revocations.note_behind(later, 900)
    assert revocations.renew_before == (later - timedelta(minutes=15)).timestamp()
    assert revocations.behind_s(later) == 25 * 60
    revocations.note_in_step(later)
    assert revocations.renew_before == 0


def test_epochs_only_rise() -> None:
    revocations = RevocationSet()
    assert revocations.raise_epoch(USER, 4, NOW, NOW, FORCED)
    assert not revocations.raise_epoch(USER, 3, NOW, NOW, ending_for(None))
    assert found(revocations, SESSION, USER, 3) == FORCED
    assert found(revocations, SESSION, USER, 4) is None
    assert revocations.raise_epoch(USER, 6, NOW, NOW, ending_for(RevocationCause.PASSWORD_CHANGED))
    assert found(revocations, SESSION, USER, 5) == ending_for(RevocationCause.PASSWORD_CHANGED)
    assert found(revocations, SESSION, uuid4(), 0) is None


def test_ids_that_differ_in_one_half_only() -> None:
    revocations = RevocationSet()
    low = [UUID(int=number) for number in range(1, 3000)]
    high = [UUID(int=number << 64) for number in range(1, 3000)]
    for session in low[::2] + high[::2]:
        revocations.end_session(session, NOW, NOW, FORCED)
    assert all(found(revocations, session) for session in low[::2] + high[::2])
    assert not any(found(revocations, session) for session in low[1::2] + high[1::2])


def test_a_hundred_thousand_take_their_share_of_the_limit() -> None:
    """The whole million is measured by the benchmark P2; a tenth of it must fit in a tenth of the memory."""
    revocations, generator = RevocationSet(), random.Random(7)  # noqa: S311  ids for a table, not secrets
    sessions = [UUID(int=generator.getrandbits(128)) for _ in range(100_000)]
    for session in sessions:
        revocations.end_session(session, NOW, NOW, FORCED)
    assert len(revocations) == 100_000
    assert revocations.nbytes <= 10_000_000
    assert all(found(revocations, session) for session in sessions[::97])
    assert revocations.evict_some(NOW + KEEP, 256) == 100_000
    assert revocations.nbytes < 100_000


class AgainstADict(RuleBasedStateMachine):
    """The same calls on the set and on plain dictionaries must have the same answers."""

    def __init__(self) -> None:
        super().__init__()
        self.revocations = RevocationSet()
        self.until: dict[UUID, float] = {}
        self.now = NOW
        self.seen: set[UUID] = set()

    @rule(session=st.uuids() | st.builds(UUID, int=st.integers(0, 40)), ago=st.integers(0, 4000))
    def end(self, session: UUID, ago: int) -> None:
        ended_at = self.now - timedelta(seconds=ago)
        self.revocations.end_session(session, ended_at, self.now, FORCED)
        self.seen.add(session)
        until = (ended_at + KEEP).timestamp()
        if until > self.now.timestamp():
            self.until[session] = max(until, self.until.get(session, 0))

    @rule(seconds=st.integers(1, 3000))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(shards=st.integers(1, 256))
    def evict(self, shards: int) -> None:
        self.revocations.evict_some(self.now, shards)

    @invariant()
    def nothing_that_matters_is_missing(self) -> None:
        for session in self.seen:
            if self.until.get(session, 0) > self.now.timestamp():
                assert found(self.revocations, session) == FORCED

    def teardown(self) -> None:
        self.revocations.evict_some(self.now, 256)
        live = {session for session, until in self.until.items() if until > self.now.timestamp()}
        assert {session for session in self.seen if found(self.revocations, session)} == live
        assert len(self.revocations) == len(live)


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
