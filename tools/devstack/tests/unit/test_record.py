"""The oracle of the chaos suite notices what it is there for: an order that went back."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenStateV1,
    TokenStatus,
)
from common.runtime.ids import new_id
from devstack.record import Record

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


def state(version: int, status: TokenStatus, kind: TokenKind = TokenKind.SESSION) -> Event[EventBody]:
    ended = status is TokenStatus.REVOKED
    body = TokenStateV1(
        token=TokenRef(
            token_id=UUID(int=7),
            kind=kind,
            provider="wevion",
            workspace_id=UUID(int=1),
            owner_user_id=UUID(int=2),
            version=version,
        ),
        status=status,
        since=NOW,
        cause=RevocationCause.SIGNED_OUT if ended else None,
        detected_by=DetectedBy.USER if ended else None,
    )
    return Event(id=new_id(), time=NOW, source="test", body=body)


BORN, USED, ENDED = state(1, TokenStatus.ACTIVE), state(2, TokenStatus.ACTIVE), state(3, TokenStatus.REVOKED)
GRANT, DEAD_GRANT = (
    state(1, TokenStatus.ACTIVE, TokenKind.PLATFORM_OAUTH),
    state(2, TokenStatus.REVOKED, TokenKind.PLATFORM_OAUTH),
)


@pytest.mark.parametrize(
    ("delivered", "wrong"),
    [
        pytest.param([BORN, USED, ENDED], 0, id="in order"),
        pytest.param([BORN, USED, BORN, USED, ENDED], 0, id="again, by a relay that died before it noted it"),
        pytest.param([USED, BORN, ENDED], 1, id="a birth after a use"),
        pytest.param([ENDED, BORN, USED, ENDED], 0, id="an end that overtook the relay, which tells it again"),
        pytest.param([ENDED, BORN, USED], 2, id="an end that the relay never told"),
        pytest.param([DEAD_GRANT, GRANT, DEAD_GRANT], 1, id="a grant has no second way"),
    ],
)
def test_an_order_that_went_back_is_noticed(delivered: list[Event[EventBody]], wrong: int) -> None:
    assert len(Record(events=delivered).went_back()) == wrong
