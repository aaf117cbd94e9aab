"""Every Kafka event delivered three times: nothing is lost, nothing is doubled (target R4)."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from common.contracts import TOPICS
from common.kafka import EventProducer, KafkaSettings, Outgoing, TopicReader
from common.runtime import tasks
from common.testing import eventually
from devstack import stack as stacks
from devstack.backend import Backend
from devstack.browser import Browser
from devstack.layout import Layout
from devstack.platforms import Platforms
from devstack.story import Story
from devstack.witness import Witness

pytestmark = pytest.mark.timeout(300)  # it starts a whole stack

REPEATED = "x-repeated"
TIMES = 2  # further deliveries of each event


@asynccontextmanager
async def everything_thrice(bootstrap: str) -> AsyncIterator[Counter[str]]:
    """Put each event on its topic twice more, as a relay that died between sending and deleting does."""
    settings = KafkaSettings(bootstrap_servers=bootstrap, client_id="repeater")
    producer = EventProducer(settings)
    reader = TopicReader(settings, *TOPICS, start="latest")
    repeated: Counter[str] = Counter()

    async def repeat() -> None:
        async for record in reader:
            if record.value is None or any(name == REPEATED for name, _ in record.headers):
                continue
            again = Outgoing(
                topic=record.topic,
                key=record.key.encode(),
                value=record.value,
                headers=(*record.headers, (REPEATED, b"1")),
            )
            await producer.send_all([again] * TIMES)
            repeated[record.topic] += TIMES

    task = asyncio.create_task(repeat())
    try:
        async with asyncio.timeout(30):
            await reader.caught_up.wait()
        yield repeated
    finally:
        await tasks.cancel(task)
        await producer.stop()


async def test_every_event_delivered_three_times_has_its_effect_once(tmp_path: Path) -> None:
    async with stacks.running(Layout(tmp_path), replicas={}, out=print) as stack:
        demo = json.loads(stack.layout.demo_file.read_text())
        async with (
            everything_thrice(stack.addresses.kafka) as repeated,
            aiohttp.ClientSession() as http,
            Browser(demo["gateway_url"]) as owner,
            Witness.watching(stack.addresses.kafka) as witness,
        ):
            story = Story(
                demo=demo,
                say=print,
                http=http,
                witness=witness,
                owner=owner,
                platforms=Platforms(http, demo["simulator_control_url"]),
                backend=Backend(http, demo["service_client"], demo["services"]),
            )
            await story.tell()
            assert repeated["token.revoked"] >= TIMES, "the events really were repeated"
            await settled(stack.addresses.kafka)
            pauses_and_resumes(story)
            gaps(story)
            await notices(story)
            await mails(story)


async def settled(bootstrap: str) -> None:
    """Every consumer group has read all that is there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:

        async def nothing_left() -> bool:
            groups = [group for group, _ in await admin.list_consumer_groups() if group]
            for group in groups:
                committed = await admin.list_consumer_group_offsets(group)
                ends = await consumer.end_offsets(list(committed)) if committed else {}
                if any(ends[partition] > meta.offset for partition, meta in committed.items()):
                    return False
            return bool(groups)

        await eventually(nothing_left, timeout_s=60, what="every group has read everything")
    finally:
        await consumer.stop()
        await admin.close()


def pauses_and_resumes(story: Story) -> None:
    events = Counter((event.type, event.body.subject()) for event in story.witness.events())
    for rule in story.rules:
        assert events["wevion.rule.paused.v1", str(rule)] == 1
        assert events["wevion.rule.resumed.v1", str(rule)] == 1


async def notices(story: Story) -> None:
    page = await story.owner.get("/api/v1/notices", limit="100")
    facts = Counter(item["code"] for item in page["items"] if item["token_id"] == story.connection)
    assert facts
    assert set(facts.values()) == {1}, f"one notice for one fact: {facts}"


def gaps(story: Story) -> None:
    found = Counter(event.body.subject() for event in story.witness.events() if event.topic == "data_gap.closed")
    assert {found[account] for account in story.accounts} == {1}


async def mails(story: Story) -> None:
    found = await story.platforms.mail(to=story.user("owner")["email"], text=story.connection)
    subjects = Counter(mail["subject"] for mail in found)
    assert subjects
    assert set(subjects.values()) == {1}, f"a mail was sent twice: {subjects}"
