"""Who sees what live, and what of it is sent again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common import contracts
from common.contracts import EVENT_TYPES, Event, EventBody, NoticeSentV1, PlatformIncidentV1, TokenEvent, TokenKind
from common.runtime.ids import new_id
from gateway.core import live
from gateway.core.live import LiveEvent, Recent, Viewer

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
EXAMPLES = sorted((Path(contracts.__file__).parent / "examples").glob("*/*.json"))
STRANGER = Viewer(UUID(int=1), UUID(int=2))


def _event(body: EventBody) -> Event[EventBody]:
    return Event(id=new_id(), time=NOW, source="test", body=body)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_event_says_who_may_see_it(path: Path) -> None:
    body = EVENT_TYPES[path.parent.name].model_validate_json(path.read_bytes())

    found = live.rendered(_event(body))

    if isinstance(body, PlatformIncidentV1):
        assert found.workspace_ids == frozenset(body.workspace_ids)
    else:
        assert not found.visible_to(STRANGER)
    lines = found.wire.decode().splitlines()
    assert lines[0] == f"id: {found.event_id}"
    assert lines[1] == f"event: {body.TOPIC}"
    assert json.loads(lines[2].removeprefix("data: "))["id"] == body.subject()
    assert found.wire.endswith(b"\n\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_colleagues_do_not_see_what_is_personal(path: Path) -> None:
    body = EVENT_TYPES[path.parent.name].model_validate_json(path.read_bytes())
    found = live.rendered(_event(body))

    if isinstance(body, TokenEvent):
        colleague = Viewer(UUID(int=1), body.token.workspace_id)
        personal = body.token.kind in {TokenKind.SESSION, TokenKind.TELEGRAM_LINK}
        assert found.visible_to(colleague) is not personal
        assert found.visible_to(Viewer(body.token.owner_user_id, body.token.workspace_id))
    elif isinstance(body, NoticeSentV1):
        assert not found.visible_to(Viewer(UUID(int=1), body.workspace_id))
        assert found.visible_to(Viewer(body.user_id, body.workspace_id))


def test_incident_without_workspaces_is_for_everybody() -> None:
    event = LiveEvent(new_id(), NOW, b"")

    assert event.visible_to(STRANGER)
    assert event.visible_to(Viewer(UUID(int=1), None))


def test_event_that_says_nothing_of_its_audience_is_shown_to_nobody() -> None:
    class Unknown(EventBody):
        TYPE = "wevion.unknown.v1"
        TOPIC = "unknown"

    with pytest.raises(TypeError, match="who may see it"):
        live.rendered(_event(Unknown()))


def _live(at: datetime) -> LiveEvent:
    milliseconds = int(at.timestamp() * 1000)
    event_id = UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | new_id().int & 0xFFFFFFFF)
    return LiveEvent(event_id, at, b"x")


def test_time_is_in_the_id() -> None:
    assert live.time_of(str(_live(NOW).event_id)) == NOW
    assert live.time_of("nonsense") is None
    assert live.time_of("0198c0de-0000-4000-8000-000000000000") is None


def test_what_came_after_is_sent_again_with_an_overlap() -> None:
    recent = Recent(100)
    recent.begin(NOW)
    events = [_live(NOW + timedelta(seconds=seconds)) for seconds in (1, 8, 10, 12)]
    for event in events:
        recent.add(event)

    missed = recent.since(str(events[2].event_id))

    # 8 s lies within the overlap of 5 s: another gateway may have read it later.
    assert missed == [events[1], events[3]]


def test_event_of_another_gateway_resumes_too() -> None:
    recent = Recent(100)
    recent.begin(NOW)
    mine = _live(NOW + timedelta(seconds=60))
    recent.add(mine)

    assert recent.since(str(_live(NOW + timedelta(seconds=30)).event_id)) == [mine]


@pytest.mark.parametrize("last_id", ["", "nonsense", "0198c0de-0000-4000-8000-000000000000"])
def test_what_cannot_be_said_is_read_anew(last_id: str) -> None:
    recent = Recent(100)
    recent.begin(NOW)

    assert recent.since(last_id) is None


def test_before_the_start_everything_is_read_anew() -> None:
    recent = Recent(100)
    assert recent.since(str(_live(NOW).event_id)) is None
    recent.begin(NOW)
    recent.begin(NOW - timedelta(hours=1))
    assert recent.since(str(_live(NOW - timedelta(seconds=1)).event_id)) is None
    assert recent.since(str(_live(NOW).event_id)) == []


def test_what_fell_out_is_read_anew() -> None:
    recent = Recent(2)
    recent.begin(NOW)
    events = [_live(NOW + timedelta(seconds=seconds)) for seconds in (10, 20, 30)]
    for event in events:
        recent.add(event)

    assert recent.since(str(_live(NOW + timedelta(seconds=5)).event_id)) is None
    assert recent.since(str(events[0].event_id)) == [events[1], events[2]]


def test_live_view_shows_every_topic() -> None:
    # Pages of accounts change nothing that a page shows: the event that they belong to is shown.
    assert {name for name, topic in contracts.TOPICS.items() if "gateway" not in topic.consumers} == {"token.accounts"}


@pytest.mark.parametrize("last", ["ffffffff-ffff-7fff-bfff-ffffffffffff", "", "x", "0" * 36])
def test_an_id_that_no_event_of_ours_has_means_read_everything(last: str) -> None:
    recent = Recent(10)
    recent.begin(NOW)
    assert recent.since(last) is None
