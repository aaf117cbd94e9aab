"""Revocations over a real Kafka: nobody is let in before they are known, and each new one is in force at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth import FixedKeys, JwksCache, Reason, RevocationFeed, RevocationSet
from common.contracts import (
    DetectedBy,
    Event,
    EventBody,
    RevocationCause,
    TokenKind,
    TokenRef,
    TokenStateV1,
    TokenStatus,
    encode_body,
    encode_headers,
    signed_content,
)
from common.kafka import EventProducer, KafkaSettings, Outgoing, Record
from common.runtime import tasks
from common.runtime.ids import new_id
from common.telemetry import metrics
from common.testing.clock import ManualClock
from common.testing.eventually import eventually
from common.testing.processes.ports import choose_port
from wevion_tokens.auth.signatures import sign_content

USER = new_id()
NO_KEYS = FixedKeys({})


def state(session: UUID, **changes: Any) -> TokenStateV1:
    kind = changes.pop("kind", TokenKind.SESSION)
    token = TokenRef(
        token_id=session, kind=kind, provider="wevion", workspace_id=new_id(), owner_user_id=USER, version=2
    )
    values: dict[str, Any] = {"token": token, "status": TokenStatus.REVOKED, "since": datetime.now(UTC)}
    if changes.get("status", TokenStatus.REVOKED) is TokenStatus.REVOKED:
        values |= {"cause": RevocationCause.ADMIN_FORCED, "detected_by": DetectedBy.ADMIN}
    return TokenStateV1(**(values | changes))


def record(body: EventBody, time: datetime | None = None) -> Record:
    event = Event(id=new_id(), time=time or datetime.now(UTC), source="session-svc", body=body, traceparent=None)
    return Record(
        "token.state", 0, 0, body.subject(), encode_body(body), tuple(encode_headers(event)), datetime.now(UTC)
    )


def outgoing(body: EventBody) -> Outgoing:
    made = record(body)
    return Outgoing(topic="token.state", key=made.key.encode(), value=made.value, headers=made.headers)


@pytest.fixture
async def producer(kafka: Any) -> AsyncIterator[EventProducer]:
    made = EventProducer(kafka.settings)
    yield made
    await made.stop()


async def test_not_ready_until_caught_up(kafka: Any, producer: EventProducer) -> None:
    sessions = [new_id() for _ in range(300)]
    await producer.send_all([outgoing(state(session)) for session in sessions])
    revocations = RevocationSet()
    feed = RevocationFeed(kafka.settings, revocations, NO_KEYS)
    assert feed.ready() == "has not caught up with the revocation stream"
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(20):
        await feed.caught_up.wait()
    assert await eventually(lambda: feed.ready() is None, 5)
    assert all(revocations.find(session.int, USER.int, 0) for session in sessions)
    assert metrics.value("wevion_auth_revoked_sessions") == 300
    await tasks.cancel(running)


async def test_a_live_revocation_is_in_force_at_once(kafka: Any, producer: EventProducer) -> None:
    revocations = RevocationSet()
    feed = RevocationFeed(kafka.settings, revocations, NO_KEYS)
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(20):
        await feed.caught_up.wait()
    session = new_id()
    await producer.send_all([outgoing(state(session, user_epoch=5))])
    assert await eventually(lambda: revocations.find(session.int, USER.int, 0), 5)
    assert revocations.find(new_id().int, USER.int, 4) is not None
    assert revocations.find(new_id().int, USER.int, 5) is None
    await tasks.cancel(running)


async def test_one_record_never_stops_the_feed(kafka: Any, producer: EventProducer) -> None:
    """A time that no counter can hold, and bytes that are no event: the records after them count."""
    revocations = RevocationSet()
    feed = RevocationFeed(kafka.settings, revocations, NO_KEYS)
    far, poison, session = new_id(), new_id(), new_id()
    good, late = outgoing(state(session)), outgoing(state(far, since=datetime(2099, 1, 1, tzinfo=UTC), user_epoch=9))
    assert late.value is not None
    await producer.send_all(
        [
            late,
            replace(late, value=late.value.replace(b"2099-", b"2200-")),
            Outgoing(topic="token.state", key=str(poison).encode(), value=b'"session"', headers=good.headers),
            Outgoing(topic="token.state", key=str(poison).encode(), value=b'"session"', headers=(("ce_id", b"\xff"),)),
            good,
        ]
    )
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(20):
        await feed.caught_up.wait()
    assert await eventually(lambda: feed.ready() is None, 5)
    assert revocations.find(session.int, USER.int, 0) is not None
    assert revocations.find(far.int, USER.int, 0) is not None
    assert metrics.value("wevion_auth_revocation_records_total", {"effect": "invalid"}) >= 2
    live = new_id()
    await producer.send_all([outgoing(state(live))])
    assert await eventually(lambda: revocations.find(live.int, USER.int, 0), 5)
    await tasks.cancel(running)


async def test_a_feed_that_lost_its_topic_says_for_how_long(kafka: Any, producer: EventProducer) -> None:
    clock = ManualClock(datetime.now(UTC))
    revocations = RevocationSet()
    feed = RevocationFeed(kafka.settings, revocations, NO_KEYS, clock=clock, max_stale_s=60)
    running = asyncio.create_task(feed.run())
    assert await eventually(lambda: revocations.complete, 20)
    await kafka.delete_topics()
    assert await eventually(lambda: not feed.caught_up.is_set(), 40)
    clock.advance(timedelta(seconds=90))
    assert await eventually(lambda: revocations.renew_before, 5) == clock.now().timestamp() - 60
    assert revocations.complete, "what is known stays in force"
    assert metrics.value("wevion_auth_revocations_behind_seconds") >= 89
    await kafka.create_topics()
    assert await eventually(lambda: revocations.renew_before == 0, 40)
    assert metrics.value("wevion_auth_revocations_behind_seconds") == 0
    await tasks.cancel(running)


# --- what each record does (no server: the records are handed over)


@pytest.fixture
def revocations() -> RevocationSet:
    return RevocationSet()


@pytest.fixture
def feed(kafka_settings: Any, revocations: RevocationSet) -> RevocationFeed:
    return RevocationFeed(kafka_settings, revocations, NO_KEYS)


@pytest.fixture
def kafka_settings() -> Any:
    return KafkaSettings(bootstrap_servers="127.0.0.1:1", client_id="test")


async def test_an_expired_session(feed: RevocationFeed, revocations: RevocationSet) -> None:
    session = new_id()
    await feed.apply(record(state(session, status=TokenStatus.EXPIRED)))
    ending = revocations.find(session.int, USER.int, 0)
    assert ending is not None
    assert (ending.reason, ending.cause) == (Reason.SESSION_EXPIRED, None)


async def test_an_ended_impersonation(feed: RevocationFeed, revocations: RevocationSet) -> None:
    session = new_id()
    await feed.apply(record(state(session, cause=RevocationCause.IMPERSONATION_ENDED)))
    ending = revocations.find(session.int, USER.int, 0)
    assert ending is not None
    assert ending.reason is Reason.IMPERSONATION_ENDED


@pytest.mark.parametrize("status", [TokenStatus.ACTIVE, TokenStatus.EXPIRING, TokenStatus.DEGRADED])
async def test_living_sessions_change_nothing_but_the_epoch(
    feed: RevocationFeed, revocations: RevocationSet, status: TokenStatus
) -> None:
    session = new_id()
    old = datetime.now(UTC) - timedelta(days=3)
    await feed.apply(record(state(session, status=status, since=old, user_epoch=7)))
    assert revocations.find(session.int, USER.int, 7) is None
    assert revocations.find(session.int, USER.int, 6) is not None


async def test_a_late_or_repeated_record_does_not_bring_a_session_back(
    feed: RevocationFeed, revocations: RevocationSet
) -> None:
    session = new_id()
    ended, alive = record(state(session)), record(state(session, status=TokenStatus.ACTIVE))
    for each in (alive, ended, alive, ended, alive):
        await feed.apply(each)
    assert revocations.find(session.int, USER.int, 0) is not None
    assert len(revocations) == 1


async def test_other_kinds_of_tokens_are_not_our_business(feed: RevocationFeed, revocations: RevocationSet) -> None:
    for kind in (TokenKind.PLATFORM_OAUTH, TokenKind.INTEGRATION, TokenKind.TELEGRAM_LINK):
        await feed.apply(record(state(new_id(), kind=kind, user_epoch=9)))
    assert len(revocations) == 0
    assert revocations.find(new_id().int, USER.int, 0) is None


async def test_what_is_long_past_takes_no_room(feed: RevocationFeed, revocations: RevocationSet) -> None:
    old = datetime.now(UTC) - timedelta(hours=3)
    await feed.apply(record(state(new_id(), since=old, user_epoch=4), time=old))
    assert len(revocations) == 0
    assert revocations.find(new_id().int, USER.int, 0) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"null", b'{"token": 1}', b"\xff"])
async def test_unreadable_records_are_passed_over(
    feed: RevocationFeed, revocations: RevocationSet, value: bytes | None
) -> None:
    good = record(state(new_id()))
    await feed.apply(Record("token.state", 0, 0, "k", value, good.headers, good.timestamp))
    await feed.apply(Record("token.state", 0, 0, "k", good.value, (), good.timestamp))
    assert len(revocations) == 0
    await feed.apply(good)
    assert len(revocations) == 1


# --- who said it


ISSUER = Ed25519PrivateKey.generate()
KEYS = FixedKeys({"k1": ISSUER.public_key()})


def signed(body: TokenStateV1, key: Ed25519PrivateKey = ISSUER, kid: str = "k1") -> Record:
    made = record(body)
    headers = {name: value.decode() for name, value in made.headers}
    proof = sign_content(signed_content(headers, made.value or b""), kid, key)
    return replace(made, headers=(*made.headers, ("ce_signature", proof.encode())))


@pytest.mark.parametrize("accept_unsigned", [True, False])
async def test_what_the_issuer_signed_is_believed(kafka_settings: Any, *, accept_unsigned: bool) -> None:
    revocations = RevocationSet()
    feed = RevocationFeed(kafka_settings, revocations, KEYS, accept_unsigned=accept_unsigned)
    session = new_id()
    await feed.apply(signed(state(session, user_epoch=7)))
    assert revocations.find(session.int, USER.int, 7) is not None
    assert revocations.find(new_id().int, USER.int, 6) is not None


async def test_a_state_without_signature_is_believed_for_one_release(kafka_settings: Any) -> None:
    session = new_id()
    for accept_unsigned in (True, False):
        revocations = RevocationSet()
        feed = RevocationFeed(kafka_settings, revocations, KEYS, accept_unsigned=accept_unsigned)
        await feed.apply(record(state(session)))
        assert len(revocations) == accept_unsigned


async def test_a_forged_state_ends_no_session(kafka_settings: Any) -> None:
    revocations = RevocationSet()
    feed = RevocationFeed(kafka_settings, revocations, KEYS)
    victim, good = new_id(), signed(state(new_id()))
    proof = dict(good.headers)["ce_signature"]
    another = state(victim)
    forged = [
        signed(another, Ed25519PrivateKey.generate()),
        signed(another, kid="k2"),
        replace(record(another), headers=(*record(another).headers, ("ce_signature", proof))),
        replace(good, value=encode_body(another)),
        *(
            replace(record(another), headers=(*record(another).headers, ("ce_signature", odd)))
            for odd in (b"", b"x", b"..", b"a.b.c", b"e30..AA", proof.replace(b"..", b"."), proof[:-4], b"x" * 5000)
        ),
    ]
    before = metrics.value("wevion_auth_revocation_records_total", {"effect": "invalid"})
    for each in forged[:4] + forged[5:]:
        await feed.apply(each)
    assert revocations.find(victim.int, USER.int, 0) is None
    assert metrics.value("wevion_auth_revocation_records_total", {"effect": "invalid"}) == before + len(forged) - 1


async def test_an_issuer_that_cannot_be_asked_for_a_new_key_is_believed(
    kafka_settings: Any, http: aiohttp.ClientSession
) -> None:
    """A session that ends wrongly costs a sign-in; one that lives on wrongly costs more."""
    revocations = RevocationSet()
    feed = RevocationFeed(kafka_settings, revocations, JwksCache(http, f"http://127.0.0.1:{choose_port()}/jwks"))
    session = new_id()
    await feed.apply(signed(state(session)))
    assert revocations.find(session.int, USER.int, 0) is not None


async def test_a_key_that_is_new_is_asked_for(kafka_settings: Any, issuer: Any, http: aiohttp.ClientSession) -> None:
    revocations = RevocationSet()
    feed = RevocationFeed(kafka_settings, revocations, JwksCache(http, f"{issuer.url}/jwks"), accept_unsigned=False)
    one, two = new_id(), new_id()
    await feed.apply(signed(state(one), issuer.keys["k1"]))
    await feed.apply(signed(state(two), Ed25519PrivateKey.generate(), "made-up"))
    assert revocations.find(one.int, USER.int, 0) is not None
    assert revocations.find(two.int, USER.int, 0) is None
