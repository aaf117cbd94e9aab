"""The live view at its edges."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.contracts import (
    AccountRef,
    DetectedBy,
    Event,
    EventBody,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from gateway.core import live
from gateway.core.live import LiveEvent, Recent

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def _token(version: int, kind: TokenKind = TokenKind.SESSION) -> TokenRef:
    return TokenRef(
        token_id=UUID(int=1),
        kind=kind,
        provider="wevion",
        workspace_id=UUID(int=3),
        owner_user_id=UUID(int=2),
        version=version,
        accounts=(AccountRef(account_id=UUID(int=5), external_id="act_1", name="Shop"),),
    )


def _state(version: int, status: TokenStatus = TokenStatus.ACTIVE, kind: TokenKind = TokenKind.SESSION) -> EventBody:
    return TokenStateV1(token=_token(version, kind), status=status, since=NOW)


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        pytest.param(_state(1), False, id="the birth of a session: there is no older JWT"),
        pytest.param(_state(2), True, id="a session that was changed"),
        pytest.param(_state(1, TokenStatus.REVOKED), True, id="a session that is over"),
        pytest.param(_state(2, kind=TokenKind.PLATFORM_OAUTH), False, id="another kind of token"),
        pytest.param(
            TokenRefreshedV1(token=_token(2), expires_at=NOW, rotated=False), False, id="its state comes with the fact"
        ),
    ],
)
def test_a_jwt_is_fetched_anew_when_its_session_has_changed(body: EventBody, *, changed: bool) -> None:
    found = live.rendered(Event(id=UUID(int=8), time=NOW, source="test", body=body))
    assert found.changed_session == (UUID(int=1) if changed else None)


def test_a_hint_names_what_to_read_again_and_nothing_of_what_it_says() -> None:
    body = TokenRevokedV1(
        token=_token(2, TokenKind.PLATFORM_OAUTH), cause=RevocationCause.COMPROMISE, detected_by=DetectedBy.PROBE
    )
    assert live.hint(body) == (
        b'{"id":"00000000-0000-0000-0000-000000000001","version":2,"kind":"platform_oauth","provider":"wevion",'
        b'"token_id":"00000000-0000-0000-0000-000000000001","cause":"compromise"}'
    )


def _seen(at: datetime) -> LiveEvent:
    milliseconds = int(at.timestamp() * 1000)
    return LiveEvent(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62), at, b"x")


def test_what_lies_within_five_seconds_of_the_last_event_is_sent_again() -> None:
    recent = Recent(10)
    recent.begin(NOW)
    last = _seen(NOW + 10 * SECOND)
    events = [_seen(NOW + timedelta(milliseconds=ms)) for ms in (5_000, 5_001, 10_001)]
    for event in [*events, last]:
        recent.add(event)
    assert recent.since(str(last.event_id)) == events[1:]


def test_the_time_of_an_id_is_in_milliseconds() -> None:
    at = NOW + timedelta(milliseconds=1)
    assert live.time_of(str(_seen(at).event_id)) == at


def test_a_full_list_is_complete_from_what_it_lost_on() -> None:
    recent = Recent(1)
    recent.begin(NOW)
    first, second = _seen(NOW + SECOND), _seen(NOW + 2 * SECOND)
    recent.add(first)
    assert recent.since(str(_seen(NOW).event_id)) == [first], "nothing has been lost yet"
    recent.add(second)
    assert recent.since(str(_seen(NOW + SECOND - timedelta(milliseconds=1)).event_id)) is None
    assert recent.since(str(first.event_id)) == [second]
