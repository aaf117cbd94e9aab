"""A world for the notifier's tests: a real database, a real mail server in the process, people, and events."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from common.contracts import (
    AccountRef,
    DetectedBy,
    Event,
    EventBody,
    IssuedHow,
    NoticeChannel,
    RevocationCause,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenKind,
    TokenRef,
    TokenRevokedV1,
    TokenStateV1,
    TokenStatus,
    decode,
)
from common.crypto import Keyring, KeyringEncryption
from common.postgres import Pool, open_pool, transaction
from common.runtime.errors import RetryableError
from common.runtime.ids import new_id
from common.runtime.retry import Backoff
from common.testing import ManualClock, stack
from notifier.app import load_texts
from notifier.channels.email.channel import MailChannel, MailServer
from notifier.channels.email.letters import Letters
from notifier.channels.throttle import Throttle
from notifier.core.routing import Pace, Person
from notifier.operations import directory, events, sending
from notifier.operations.deps import Deps
from notifier.store import people as people_store

TABLES = [
    "delivery_line",
    "delivery",
    "data_gap",
    "notice",
    "condition",
    "incident",
    "token",
    "paused_rule",
    "person",
    "workspace",
    "dead_address",
    "preference",
    "telegram_code",
    "telegram_link",
    "telegram_update",
    "endpoint",
    "outbox",
    "inbox",
    "relay_lease",
]
RESET = "UPDATE telegram_poller SET owner = NULL, expires_at = '-infinity'"
NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


class Mailbox:
    """A mail server that keeps what it is given, and refuses what a test tells it to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: dict[str, str] = {}
        self.hang = False
        self.before_accept: Callable[[], Awaitable[None]] | None = None

    async def handle_MAIL(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "MAIL" in self.refusals:
            return self.refusals["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.before_accept is not None:
            await self.before_accept()
        if "DATA" in self.refusals:
            return self.refusals["DATA"]
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        mail["X-Envelope-To"] = envelope.rcpt_tos[0]
        self.mails.append(mail)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["X-Envelope-To"] == address]


@dataclass
class Directory:
    """session-svc's list of people, as a hand-written stand-in at the service's border."""

    members: dict[UUID, list[Person]] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    async def people(self, workspace_id: UUID) -> list[Person]:
        self.asked += 1
        if self.away:
            raise RetryableError("session-svc does not answer")
        return list(self.members.get(workspace_id, []))

    async def person(self, user_id: UUID) -> list[Person]:
        if self.away:
            raise RetryableError("session-svc does not answer")
        return [person for people in self.members.values() for person in people if person.user_id == user_id]


@dataclass
class World:
    """One workspace with its people and one connection; every method is one thing that can happen to it."""

    deps: Deps
    clock: ManualClock
    directory: Directory
    mailbox: Mailbox
    workspace_id: UUID = field(default_factory=new_id)
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, name: str, role: str = "member", **more: Any) -> Person:
        made = Person(
            user_id=new_id(),
            workspace_id=self.workspace_id,
            name=name.title(),
            email=f"{name}@agency.example",
            role=role,
            time_zone="Europe/Berlin",
            **more,
        )
        self.people[name] = made
        self.directory.members.setdefault(self.workspace_id, []).append(made)
        return made

    def token(
        self, owner: Person, *, version: int = 1, kind: TokenKind = TokenKind.PLATFORM_OAUTH, **more: Any
    ) -> TokenRef:
        defaults: dict[str, Any] = {
            "token_id": new_id(),
            "provider": "meta",
            "workspace_id": self.workspace_id,
            "accounts": tuple(
                AccountRef(account_id=new_id(), external_id=f"act_{number}", name=f"Shop {number}")
                for number in (1, 2, 3)
            ),
        }
        return TokenRef(owner_user_id=owner.user_id, version=version, kind=kind, **(defaults | more))

    async def take(self, body: EventBody, event_id: UUID | None = None) -> Event[EventBody]:
        event = Event(id=event_id or new_id(), time=self.clock.now(), source="test", body=body)
        await events.take(self.deps, event, self.clock.now())
        return event

    async def issued(
        self, token: TokenRef, expires_in: timedelta | None = timedelta(days=60), how: IssuedHow = IssuedHow.CONNECT
    ) -> None:
        expires_at = None if expires_in is None else self.clock.now() + expires_in
        await self.take(TokenIssuedV1(token=token, how=how, expires_at=expires_at))

    async def revoked(
        self,
        token: TokenRef,
        cause: RevocationCause = RevocationCause.USER_REVOKED,
        detected_by: DetectedBy = DetectedBy.WEBHOOK,
    ) -> None:
        await self.take(TokenRevokedV1(token=token, cause=cause, detected_by=detected_by))

    async def expiring(self, token: TokenRef, stage: str, expires_at: datetime) -> None:
        left = max(int((expires_at - self.clock.now()).total_seconds()), 0)
        await self.take(TokenExpiringV1(token=token, stage=stage, expires_at=expires_at, remaining_s=left))

    async def expired(self, token: TokenRef, expired_at: datetime) -> None:
        await self.take(TokenExpiredV1(token=token, expired_at=expired_at))

    async def state(self, token: TokenRef, status: TokenStatus, **more: Any) -> None:
        await self.take(TokenStateV1(token=token, status=status, since=self.clock.now(), **more))

    async def know_people_of(self) -> None:
        """Learn the workspace's people before any token was seen."""
        async with transaction(self.deps.pool) as db:
            await people_store.want(db, [self.workspace_id], self.clock.now())
        await self.know_people()

    async def know_people(self) -> None:
        await directory.refresh(self.deps, self.clock.now())

    async def later(self, step: timedelta = timedelta(seconds=5)) -> None:
        """Time passes, and every channel sends what is due."""
        self.clock.advance(step)
        for channel in self.deps.channels.values():
            while (await sending.send_due(self.deps, channel, self.clock.now())).more:
                pass

    async def sent_events(self) -> list[dict[str, Any]]:
        rows = await self.deps.pool.fetch("SELECT payload, headers FROM outbox WHERE topic = 'notice.sent' ORDER BY id")
        return [
            decode(row["payload"], [(k, v.encode()) for k, v in row["headers"].items()]).body.model_dump()
            for row in rows
        ]

    async def count(self, sql: str, *arguments: Any) -> int:
        found: int = await self.deps.pool.fetchval(sql, *arguments)
        return found


def bumped(token: TokenRef, version: int) -> TokenRef:
    return token.model_copy(update={"version": version})


@pytest.fixture
async def mail_server() -> AsyncIterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, loop=loop, enable_SMTPUTF8=True, timeout=60), "127.0.0.1", 0
    )
    yield mailbox, server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture(scope="session")
def shared_dsn(postgres_server: str) -> Iterator[str]:
    """One database for the run: emptying it between tests is much quicker than making another."""

    async def make() -> str:
        return await stack.clone_database(postgres_server, await stack.ensure_template(postgres_server, "notifier"))

    dsn = asyncio.run(make())
    yield dsn
    asyncio.run(stack.drop_database(postgres_server, dsn))


@pytest.fixture(scope="session")
def empty_database() -> str:
    """The statement that forgets everything."""
    return "".join(f"DELETE FROM {table};" for table in TABLES) + RESET


@pytest.fixture
async def pool(shared_dsn: str, empty_database: str) -> AsyncIterator[Pool]:
    pool = await open_pool(shared_dsn, application_name="test", max_size=8)
    await pool.execute(empty_database)
    yield pool
    await pool.close()


@pytest.fixture
async def world(pool: Pool, mail_server: tuple[Mailbox, int]) -> AsyncIterator[World]:
    mailbox, port = mail_server
    clock = ManualClock(NOW)
    people = Directory()
    texts, vault = load_texts("http://wevion.example"), KeyringEncryption(Keyring.generate())
    mail = MailChannel(
        MailServer(
            host="127.0.0.1",
            port=port,
            sender="Wevion <notices@wevion.example>",
            settings_url="http://wevion.example/settings/notifications",
        ),
        letters=Letters(texts, vault),
        throttle=Throttle(rate=10_000, burst=10_000, clock=clock),
        clock=clock,
        retry=Backoff(base_s=5, cap_s=900, jitter=0),
    )
    deps = Deps(
        pool=pool,
        texts=texts,
        channels={NoticeChannel.EMAIL: mail},
        people=people,
        vault=vault,
        pace=Pace(),
    )
    made = World(deps, clock, people, mailbox)
    made.person("ada", "owner")
    made.person("max", "admin")
    made.person("mia")
    yield made
    await mail.close()


@pytest.fixture
def connector(world: World) -> Person:
    return world.people["mia"]


@pytest.fixture
def names() -> Callable[[Sequence[EmailMessage]], list[str]]:
    return lambda mails: sorted(mail["X-Envelope-To"].partition("@")[0] for mail in mails)
