"""What is known of a platform's incident, in whatever order the news come; and patience with it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from common.contracts import IncidentState, PlatformIncidentV1
from common.runtime.ids import new_id
from rule_pauser.core.incidents import Incident, lasting, next_incident
from rule_pauser.settings import PauserSettings

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
PATIENCE = timedelta(hours=6)


def news(number: int, version: int, *, is_open: bool) -> PlatformIncidentV1:
    return PlatformIncidentV1(
        incident_id=IDS[number],
        provider="meta",
        state=IncidentState.OPENED if is_open else IncidentState.CLOSED,
        tokens_affected=7,
        since=NOW + timedelta(days=number),
        version=version,
    )


IDS = tuple(new_id() for _ in range(2))
FIRST = (news(0, 1, is_open=True), news(0, 2, is_open=True), news(0, 3, is_open=False))
SECOND = (news(1, 1, is_open=True),)


def after(*told: PlatformIncidentV1) -> Incident | None:
    known: Incident | None = None
    for body in told:
        known = next_incident(known, body) or known
    return known


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (FIRST[:1], Incident(IDS[0], 1, NOW, open=True)),
        (FIRST, Incident(IDS[0], 3, NOW, open=False)),
        ((*FIRST, *SECOND), Incident(IDS[1], 1, NOW + timedelta(days=1), open=True)),
        # The end of the first was lost: the second one ends it.
        ((*FIRST[:2], *SECOND), Incident(IDS[1], 1, NOW + timedelta(days=1), open=True)),
    ],
)
def test_in_whatever_order_news_come_the_newest_counts(
    told: tuple[PlatformIncidentV1, ...], expected: Incident
) -> None:
    for order in permutations(told):
        assert after(*order) == expected
        assert after(*order, *order) == expected


def test_what_is_not_newer_is_old_news() -> None:
    known = after(FIRST[1])
    for old in (FIRST[0], FIRST[1], FIRST[1].model_copy(update={"incident_id": IDS[1]})):
        assert next_incident(known, old) is None


def test_a_pause_lives_as_long_as_its_incident() -> None:
    pausing = Incident(IDS[0], 1, NOW, open=True, pausing_at=NOW)
    grew = next_incident(pausing, FIRST[1])
    assert grew is not None
    assert grew.pausing_at == NOW
    for over in (FIRST[2], SECOND[0]):
        ended = next_incident(pausing, over)
        assert ended is not None
        assert ended.pausing_at is None


@pytest.mark.parametrize(
    ("incident", "hours", "expected"),
    [
        (Incident(IDS[0], 1, NOW, open=True), 5.99, False),
        (Incident(IDS[0], 1, NOW, open=True), 6, True),
        (Incident(IDS[0], 1, NOW, open=True, pausing_at=NOW), 7, False),
        (Incident(IDS[0], 2, NOW, open=False), 7, False),
    ],
)
def test_patience(incident: Incident, hours: float, *, expected: bool) -> None:
    assert lasting(incident, PATIENCE, NOW + timedelta(hours=hours)) is expected


def test_the_setting() -> None:
    needed: dict[str, Any] = {"database_url": "postgresql://db/rules", "kafka_bootstrap_servers": "kafka:9092"}
    assert PauserSettings(**needed).incident_pause_after == PATIENCE
    assert PauserSettings(**needed, incident_pause_after_s=0).incident_pause_after is None
    with pytest.raises(ValidationError):
        PauserSettings(**needed, incident_pause_after_s=-1)
