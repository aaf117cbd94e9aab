"""The consumer on a real Kafka: repeats in any order, poison, newer versions, and a database that starts late."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from common.contracts import (
    AccountAccess,
    Event,
    EventBody,
    IncidentState,
    IssuedHow,
    PlatformIncidentV1,
    TokenAccountsV1,
    TokenStateV1,
    TokenStatus,
    encode_body,
    encode_headers,
)
from common.kafka import EventConsumer, EventProducer, Outgoing, TopicReader
from common.runtime.clock import SystemClock
from common.runtime.ids import new_id
from common.runtime.tasks import cancel
from common.testing.eventually import eventually
from common.testing.stack import KafkaForTest
from rule_pauser.consumers import GROUP, TOPICS, handler
from rule_pauser.operations import catch_up

Grants = Callable[..., Any]
PATIENCE_S = 60


def record(event: Event[EventBody]) -> Outgoing:
    return Outgoing(event.topic, event.body.subject().encode(), encode_body(event.body), encode_headers(event))


async def test_every_event_three_times_and_poison_between(house: Any, grant: Grants, kafka: KafkaForTest) -> None:
    meta = grant()
    rule = await house.define(*meta.account_ids)
    issued, revoked = meta.issued(), meta.revoked()
    poison = Outgoing("token.revoked", str(meta.token_id).encode(), b"{", encode_headers(revoked))
    producer = EventProducer(kafka.settings)
    consumer = EventConsumer(kafka.settings, GROUP, TOPICS, handler(house.deps, SystemClock()), producer)
    task = asyncio.create_task(consumer.run())
    try:
        await producer.send_all([record(issued)] * 3 + [poison] + [record(revoked)] * 3)

        async def paused() -> bool:
            await house.reconcile()
            return bool(await house.paused(rule))

        await eventually(paused, PATIENCE_S, what="the rule is paused")
        async with asyncio.timeout(PATIENCE_S):
            async for letter in TopicReader(kafka.settings, "token.revoked.dlq"):
                assert b"revoked" in dict(letter.headers)["dlq_reason"]
                break
    finally:
        await cancel(task)
        await producer.stop()
    assert await house.sent() == [("rule.paused", rule)]


@asynccontextmanager
async def following(house: Any, kafka: KafkaForTest) -> AsyncIterator[tuple[EventProducer, list[Event[EventBody]]]]:
    """The consumer of the service, reconciling after each event; tells what it has handled so far."""
    handled: list[Event[EventBody]] = []
    handle = handler(house.deps, SystemClock())

    async def handle_and_reconcile(event: Event[EventBody]) -> None:
        await handle(event)
        await house.reconcile()
        handled.append(event)

    producer = EventProducer(kafka.settings)
    consumer = EventConsumer(kafka.settings, GROUP, TOPICS, handle_and_reconcile, producer)
    task = asyncio.create_task(consumer.run())
    try:
        yield producer, handled
    finally:
        await cancel(task)
        await producer.stop()


@pytest.mark.parametrize("seed", range(3))
async def test_three_times_out_of_order_and_from_a_zombie_relay_is_one_pause(
    house: Any, grant: Grants, kafka: KafkaForTest, seed: int
) -> None:
    """A relay that was thought dead says old things again, after the new ones."""
    shuffle = random.Random(seed).shuffle  # noqa: S311  an order that has to be repeatable
    meta = grant()
    rule = await house.define(*meta.account_ids)
    died = [meta.issued(), meta.refreshed(), meta.access(AccountAccess.LOST), meta.refreshed(), meta.revoked()]
    back = [meta.issued(IssuedHow.REAUTHORIZE), meta.access(AccountAccess.GRANTED)]
    async with following(house, kafka) as (producer, handled):
        expected = 0
        for told, zombie, sent in ((died, [], ["rule.paused"]), (back, died, ["rule.paused", "rule.resumed"])):
            records = [record(event) for event in [*told, *zombie] * 3]
            shuffle(records)
            expected += len(records)
            await producer.send_all(records)
            await eventually(lambda: len(handled) >= expected, PATIENCE_S, what="all of it was handled")  # noqa: B023
            assert await house.sent() == [(topic, rule) for topic in sent]
    assert (await house.rule(rule)).rule.running


def with_type(good: Outgoing, name: bytes) -> Outgoing:
    return replace(good, headers=tuple((key, name if key == "ce_type" else value) for key, value in good.headers))


async def test_what_cannot_be_read_is_put_aside_and_a_newer_minor_version_is_read(
    house: Any, grant: Grants, kafka: KafkaForTest
) -> None:
    meta, ending, trouble = grant(), grant(), new_id()
    ending.issued()  # its end comes before anything else was heard of it
    revoked_rule, expired_rule = await house.define(*meta.account_ids), await house.define(*ending.account_ids)
    incident = PlatformIncidentV1(
        incident_id=trouble,
        provider="meta",
        state=IncidentState.OPENED,
        tokens_affected=9,
        since=meta.at,
        version=1,
    )
    good = [
        record(event)
        for event in (
            meta.issued(),
            meta.refreshed(),
            meta.access(AccountAccess.LOST),
            meta.revoked(),
            ending.expired(),
            Event(id=new_id(), time=meta.at, source="oauth-svc", body=incident),
            Event(
                id=new_id(), time=meta.at, source="oauth-svc", body=TokenAccountsV1(token=meta.ref(), page=1, pages=2)
            ),
        )
    ]
    assert {each.topic for each in good} == set(TOPICS)
    bad: list[Outgoing] = []
    newer: list[Outgoing] = []
    for each in good:
        assert each.value is not None
        bad += [
            replace(each, value=b"\xff\x00 no json"),
            replace(each, headers=()),
            with_type(each, b"wevion.unheard.of.v1"),
            with_type(each, f"wevion.{each.topic}.v2".encode()),
        ]
        body = json.loads(each.value)
        body |= {"colour": "red", **({"token": {**body["token"], "shade": "dark"}} if "token" in body else {})}
        newer.append(replace(each, value=json.dumps(body).encode()))
    async with following(house, kafka) as (producer, handled):
        await producer.send_all([*bad, *newer])
        await eventually(lambda: len(handled) >= len(newer), PATIENCE_S, what="the readable ones were handled")
        reasons: dict[str, list[str]] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for letter in TopicReader(kafka.settings, *(f"{topic}.dlq" for topic in TOPICS)):
                reasons.setdefault(letter.topic, []).append(dict(letter.headers)["dlq_reason"].decode())
                if sum(map(len, reasons.values())) == len(bad):
                    break
    assert set(reasons) == {f"{topic}.dlq" for topic in TOPICS}
    for topic, said in reasons.items():
        assert len(said) == 4, topic
        for why in ("Invalid JSON", "ce_type: missing", "unheard.of", ".v2"):
            assert any(why in reason for reason in said), (topic, why, said)
    assert len(handled) == len(newer), "each once, and nothing that is unreadable"
    assert sorted(await house.sent()) == sorted([("rule.paused", revoked_rule), ("rule.paused", expired_rule)])
    assert await house.deps.pool.fetchval("SELECT incident_id FROM incident WHERE open") == trouble


async def test_a_database_that_starts_late_learns_of_old_deaths(house: Any, grant: Grants, kafka: KafkaForTest) -> None:
    meta = grant()
    meta.issued()
    meta.revoked()
    state = TokenStateV1(token=meta.ref(), status=TokenStatus.REVOKED, since=meta.at)
    producer = EventProducer(kafka.settings)
    try:
        event = Event(id=new_id(), time=meta.at, source="oauth-svc", body=state)
        await producer.send_all([record(event), Outgoing("token.state", b"purged", None)])
    finally:
        await producer.stop()
    now = SystemClock().now()
    assert await catch_up(house.deps, kafka.settings, now) == 1
    assert await catch_up(house.deps, kafka.settings, now) == 0, "a database that knows something does not ask again"
    assert await house.paused(await house.define(*meta.account_ids))
