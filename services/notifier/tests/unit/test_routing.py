"""Who is told (N5), where, and when."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid5

import pytest

from common.contracts import NoticeChannel, NoticeCode
from notifier.core.preferences import Preferences, QuietHours
from notifier.core.routing import History, Pace, Person, affected_by_incident, plan, recipients

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
SPACE, OTHER = UUID(int=1), UUID(int=2)
EMAIL, TELEGRAM = NoticeChannel.EMAIL, NoticeChannel.TELEGRAM


def _person(name: str, role: str = "member", workspace_id: UUID = SPACE, *, active: bool = True) -> Person:
    return Person(
        user_id=uuid5(SPACE, name),
        workspace_id=workspace_id,
        name=name,
        email=f"{name}@x.example",
        role=role,
        active=active,
    )


ADA, MAX, MIA, TOM = _person("ada", "owner"), _person("max", "admin"), _person("mia"), _person("tom")


def _names(people: tuple[Person, ...]) -> list[str]:
    return [person.name for person in people]


@pytest.mark.parametrize(
    ("people", "maker", "told"),
    [
        ([ADA, MAX, MIA, TOM], MIA, ["ada", "max", "mia"]),
        ([ADA, MAX, MIA, TOM], MAX, ["ada", "max"]),
        ([ADA, MAX, TOM], MIA, ["ada", "max"]),
        ([ADA, _person("mia", active=False)], MIA, ["ada"]),
        ([_person("ada", "owner", active=False), MIA], MIA, ["mia"]),
        ([TOM], MIA, []),
        ([], MIA, []),
    ],
)
def test_the_maker_and_the_admins_are_told(people: list[Person], maker: Person, told: list[str]) -> None:
    assert _names(recipients(people, maker.user_id)) == told


def test_an_incident_tells_each_person_once_over_all_workspaces() -> None:
    twice = [ADA, MIA, TOM, _person("ada", "owner", OTHER), _person("eve", "owner", OTHER, active=False)]
    makers = {SPACE: frozenset({MIA.user_id}), OTHER: frozenset[UUID]()}
    assert _names(affected_by_incident(twice, makers)) == ["ada", "mia"]
    assert affected_by_incident(twice, {}) == ()


def _plan(
    code: NoticeCode = NoticeCode.TOKEN_EXPIRING,
    *,
    critical: bool = False,
    preferences: Preferences | None = None,
    history: dict[NoticeChannel, History] | None = None,
) -> dict[NoticeChannel, timedelta]:
    planned = plan(
        code,
        critical=critical,
        person=MIA,
        preferences=preferences or Preferences(),
        reachable=(EMAIL, TELEGRAM),
        history=history or {},
        pace=Pace(),
        now=NOW,
    )
    return {item.channel: item.due_at - NOW for item in planned}


def test_messages_wait_a_moment_for_what_belongs_to_them() -> None:
    assert _plan() == {EMAIL: timedelta(seconds=3), TELEGRAM: timedelta(seconds=3)}


def test_what_is_not_wanted_or_not_reachable_is_not_planned() -> None:
    off = Preferences({(EMAIL, NoticeCode.TOKEN_EXPIRING): False})
    assert list(_plan(preferences=off)) == [TELEGRAM]
    assert _plan(NoticeCode.DATA_GAP) == {}


def test_quiet_hours_hold_what_is_not_critical() -> None:
    quiet = Preferences(quiet_hours=QuietHours(time(11), time(14)))
    assert set(_plan(preferences=quiet).values()) == {timedelta(hours=2)}
    assert set(_plan(preferences=quiet, critical=True).values()) == {timedelta(seconds=3)}


def test_the_same_fact_again_waits_for_the_cooldown_even_when_critical() -> None:
    lately = {EMAIL: History(NOW - timedelta(minutes=10), 1)}
    due = _plan(history=lately, critical=True)
    assert due == {EMAIL: timedelta(minutes=20), TELEGRAM: timedelta(seconds=3)}
    assert _plan(history={EMAIL: History(NOW - timedelta(hours=1), 1)})[EMAIL] == timedelta(seconds=3)


@pytest.mark.parametrize(("sent", "wait"), [(4, timedelta(seconds=3)), (5, timedelta(hours=1))])
def test_many_messages_become_a_digest(sent: int, wait: timedelta) -> None:
    assert _plan(history={EMAIL: History(None, sent)})[EMAIL] == wait
    assert _plan(history={EMAIL: History(None, sent)}, critical=True)[EMAIL] == timedelta(seconds=3)
