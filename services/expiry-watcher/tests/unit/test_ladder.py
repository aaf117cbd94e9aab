"""The ladder: decisions, and what holds for every sequence of moments."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expiry_watcher.core.errors import LadderRefusedError
from expiry_watcher.core.ladder import EXPIRED_LEAD, Expire, Ladder, Warn, step

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
LADDER = Ladder.parse(("14d", "7d", "3d", "1d", "6h", "1h"))


def at(**before: float) -> datetime:
    """So long before the expiry date."""
    return NOW - timedelta(**before)


@pytest.mark.parametrize(
    ("moment", "mark", "said", "next_due"),
    [
        (at(days=15), None, None, at(days=14)),
        (at(days=14, seconds=1), None, None, at(days=14)),
        (at(days=14), None, "14d", at(days=7)),
        (at(days=10), None, "14d", at(days=7)),
        (at(days=10), timedelta(days=14), None, at(days=7)),
        (at(days=7), timedelta(days=14), "7d", at(days=3)),
        (at(days=2), None, "3d", at(days=1)),
        (at(hours=5), timedelta(days=7), "6h", at(hours=1)),
        (at(hours=5), timedelta(hours=1), None, at(hours=1)),
        (at(minutes=59), timedelta(hours=6), "1h", NOW),
        (at(minutes=59), timedelta(hours=1), None, NOW),
    ],
)
def test_steps(moment: datetime, mark: timedelta | None, said: str | None, next_due: datetime) -> None:
    decision = step(NOW, mark, LADDER, moment)
    assert (decision.say.stage.name if isinstance(decision.say, Warn) else decision.say) == said
    assert decision.next_due == next_due


@pytest.mark.parametrize("after", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_full_expiry_is_said_once(after: timedelta) -> None:
    first = step(NOW, timedelta(hours=1), LADDER, NOW + after)
    assert (first.say, first.mark, first.next_due) == (Expire(), EXPIRED_LEAD, None)
    assert step(NOW, first.mark, LADDER, NOW + after).say is None


leads = st.integers(1, 60).flatmap(lambda n: st.sampled_from([f"{n}m", f"{n}h", f"{min(n, 60)}d"]))


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    names = draw(st.lists(leads, min_size=1, max_size=8))
    by_lead = {Ladder.parse((name,)).stages[0].lead: name for name in names}
    return Ladder.parse(tuple(by_lead.values()))


@given(ladders(), st.lists(st.integers(-90 * 86400, 10 * 86400), min_size=1, max_size=30))
def test_ladder_model(ladder: Ladder, moments: list[int]) -> None:
    """Whatever moments it is looked at (late, early, clock jumps): each stage at most once, only ever more urgent."""
    mark: timedelta | None = None
    said: list[timedelta] = []
    for seconds in moments:
        now = NOW + timedelta(seconds=seconds)
        decision = step(NOW, mark, ladder, now)
        match decision.say:
            case Warn(stage):
                assert NOW - stage.lead <= now < NOW, "a stage is said from its time on, and before the end"
                urgent = [other for other in ladder.stages if NOW - other.lead <= now]
                assert stage == urgent[-1], "the most urgent due stage only"
                said.append(stage.lead)
            case Expire():
                assert now >= NOW
                said.append(EXPIRED_LEAD)
        assert decision.mark is None or mark is None or decision.mark <= mark
        assert decision.next_due is None or decision.next_due > now, "never due again at once"
        mark = decision.mark
    assert all(later < earlier for earlier, later in pairwise(said))


@given(ladders(), st.integers(1, 100))
def test_following_next_due_says_every_stage(ladder: Ladder, days_before: int) -> None:
    moment: datetime | None = NOW - timedelta(days=60 + days_before)
    mark: timedelta | None = None
    said = []
    while moment is not None:
        decision = step(NOW, mark, ladder, moment)
        if isinstance(decision.say, Warn):
            said.append(decision.say.stage.name)
        mark, moment = decision.mark, decision.next_due
    assert tuple(said) == ladder.names
    assert mark == EXPIRED_LEAD


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ((), "at least one"),
        (("1d",) * 13, "at most"),
        (("24h", "1d"), "twice"),
        (("7",), "whole number"),
        (("1.5d",), "whole number"),
        (("61d",), "further ahead"),
        (("d7",), "whole number"),
        (("\u0667d",), "whole number"),  # an Arabic-Indic seven
        (("7d ",), "whole number"),
    ],
)
def test_refused_ladders_say_why(names: tuple[str, ...], rule: str) -> None:
    with pytest.raises(LadderRefusedError, match=rule):
        Ladder.parse(names)
