"""Events and tokens as the owners of tokens would write them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    AccountRef,
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    RevocationCause,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRefreshedV1,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
)
from common.runtime.ids import new_id

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
WORKSPACE = UUID("01990000-0000-7000-8000-000000000001")
OWNER = UUID("01990000-0000-7000-8000-000000000002")


class Story:
    """One token, and the events of its life."""

    def __init__(self, **more: Any) -> None:
        self.members: dict[str, Any] = {
            "token_id": new_id(),
            "kind": TokenKind.PLATFORM_OAUTH,
            "provider": "meta",
            "workspace_id": WORKSPACE,
            "owner_user_id": OWNER,
            "version": 0,
            "accounts": (AccountRef(account_id=new_id(), external_id="act_1", name="Shop"),),
        } | more

    @property
    def token_id(self) -> UUID:
        found: UUID = self.members["token_id"]
        return found

    @property
    def ref(self) -> TokenRef:
        return TokenRef(**self.members)

    def next(self) -> TokenRef:
        self.members["version"] += 1
        return self.ref

    def issued(
        self, expires_at: datetime | None, *, at: datetime = NOW, how: IssuedHow = IssuedHow.CONNECT
    ) -> Event[EventBody]:
        return event(TokenIssuedV1(token=self.next(), how=how, expires_at=expires_at), at)

    def refreshed(self, expires_at: datetime | None, *, at: datetime = NOW) -> Event[EventBody]:
        return event(TokenRefreshedV1(token=self.next(), expires_at=expires_at, rotated=False), at)

    def revoked(self, cause: RevocationCause = RevocationCause.USER_REVOKED, *, at: datetime = NOW) -> Event[EventBody]:
        return event(TokenRevokedV1(token=self.next(), cause=cause, detected_by=DetectedBy.WEBHOOK), at)

    def state(self, status: TokenStatus, *, at: datetime = NOW, **more: Any) -> Event[EventBody]:
        """The whole state at the present version (raise it with `next` first if the state is the only event)."""
        return event(TokenStateV1(token=self.ref, status=status, since=at, **more), at)


def event(body: EventBody, at: datetime = NOW) -> Event[EventBody]:
    return Event(id=new_id(), time=at, source="oauth-svc", body=body)


@pytest.fixture
def story() -> Callable[..., Story]:
    """Makes the story of one token."""
    return Story


@pytest.fixture
def now() -> datetime:
    """The moment at which stories begin."""
    return NOW


@pytest.fixture
def days() -> Callable[[float], datetime]:
    """So many days after the stories begin."""
    return lambda count: NOW + timedelta(days=count)
