"""Grants, events and rules, and the service's parts on a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    AccountRef,
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
    writers,
)
from common.postgres import Pool, open_pool
from common.runtime.ids import new_id
from common.testing.stack import DatabaseFactory
from rule_pauser.core.listed import Listed
from rule_pauser.operations import Deps, RuleDefinition, hear, put_rule, reconcile_some
from rule_pauser.store import rules

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
WORKSPACE = UUID("01990000-0000-7000-8000-000000000001")
PATIENCE = timedelta(hours=6)
"""How long a platform's incident lasts before it pauses rules."""
PERSON = UUID("01990000-0000-7000-8000-000000000002")


class GrantStory:
    """One grant and the events of its life, each a minute after the one before."""

    def __init__(self, accounts: int = 1, workspace_id: UUID = WORKSPACE, provider: str = "meta") -> None:
        self.token_id = new_id()
        self.workspace_id = workspace_id
        self.provider = provider
        self.version = 0
        self.at = NOW
        self.expires_at = NOW + timedelta(days=60)
        self.accounts = tuple(
            AccountRef(account_id=new_id(), external_id=f"act_{number}", name=f"Shop {number}")
            for number in range(accounts)
        )

    @property
    def account_ids(self) -> tuple[UUID, ...]:
        return tuple(account.account_id for account in self.accounts)

    def ref(self) -> TokenRef:
        return TokenRef(
            token_id=self.token_id,
            kind=TokenKind.PLATFORM_OAUTH,
            provider=self.provider,
            workspace_id=self.workspace_id,
            owner_user_id=PERSON,
            version=self.version,
            accounts=self.accounts,
        )

    def _event(self, body: EventBody) -> Event[EventBody]:
        return Event(id=new_id(), time=self.at, source=min(writers(body)), body=body)

    def _next(self) -> TokenRef:
        self.version += 1
        self.at += timedelta(minutes=1)
        return self.ref()

    def issued(self, how: IssuedHow = IssuedHow.CONNECT) -> Event[EventBody]:
        self.expires_at += timedelta(days=1)
        return self._event(TokenIssuedV1(token=self._next(), how=how, expires_at=self.expires_at))

    def refreshed(self) -> Event[EventBody]:
        self.expires_at += timedelta(days=1)
        return self._event(TokenRefreshedV1(token=self._next(), expires_at=self.expires_at, rotated=False))

    def revoked(self, cause: RevocationCause = RevocationCause.USER_REVOKED) -> Event[EventBody]:
        return self._event(TokenRevokedV1(token=self._next(), cause=cause, detected_by=DetectedBy.WEBHOOK))

    def expired(self) -> Event[EventBody]:
        """Derived by expiry-watcher: it carries the version and the date that it was derived from."""
        return self._event(TokenExpiredV1(token=self.ref(), expired_at=self.expires_at))

    def access(self, access: AccountAccess, number: int = 0) -> Event[EventBody]:
        return self._event(
            AccountAccessChangedV1(
                account=self.accounts[number],
                token_id=self.token_id,
                workspace_id=self.workspace_id,
                owner_user_id=PERSON,
                provider=self.provider,
                version=self._next().version,
                access=access,
                cause=RevocationCause.PERMISSION_CHANGED if access is AccountAccess.LOST else None,
            )
        )


@dataclass(frozen=True)
class House:
    """The service without its wires: hears events, reconciles, and shows what it would send."""

    deps: Deps

    async def hear(self, *events: Event[EventBody]) -> list[bool]:
        """Hear events and reconcile everything that they ask for."""
        heard = [await hear(self.deps, event, event.time) for event in events]
        await self.reconcile(events[-1].time)
        return heard

    async def reconcile(self, now: datetime = NOW) -> None:
        while (await reconcile_some(self.deps, now)).more:
            pass

    async def define(self, *account_ids: UUID, **more: Any) -> UUID:
        """Store a rule; returns its id."""
        members: dict[str, Any] = {
            "rule_id": new_id(),
            "workspace_id": WORKSPACE,
            "name": "Stop losers",
            "account_ids": tuple(sorted(account_ids)),
            "enabled": True,
            "revision": 1,
        } | more
        wanted = RuleDefinition(**members)
        await put_rule(self.deps, wanted, "automation", NOW)
        return wanted.rule_id

    async def rule(self, rule_id: UUID) -> Listed:
        found = await rules.one(self.deps.pool, None, rule_id)
        assert found is not None
        return found

    async def paused(self, rule_id: UUID) -> bool:
        return (await self.rule(rule_id)).rule.auto_paused_at is not None

    async def sent(self) -> list[tuple[str, UUID]]:
        """What the outbox holds, in order: topic and rule."""
        rows = await self.deps.pool.fetch("SELECT topic, key FROM outbox ORDER BY id")
        return [(row["topic"], UUID(row["key"])) for row in rows]

    async def told(self, rule_id: UUID) -> list[str]:
        """The rule's history, oldest first."""
        return [entry.what for entry in reversed(await rules.read_history(self.deps.pool, rule_id, 100))]


@pytest.fixture
async def house(database: DatabaseFactory) -> AsyncIterator[House]:
    pool = await open_pool(await database("rule_pauser"), application_name="test")
    yield House(Deps(pool=pool, incident_pause_after=PATIENCE))
    await pool.close()


@pytest.fixture
def house_on() -> Callable[[Pool], House]:
    """Makes the service on a pool of the test's own."""
    return lambda pool: House(Deps(pool=pool, incident_pause_after=PATIENCE))


@pytest.fixture
def grant() -> Callable[..., GrantStory]:
    """Makes the story of one grant."""
    return GrantStory


@pytest.fixture
def now() -> datetime:
    """The moment at which stories begin."""
    return NOW
