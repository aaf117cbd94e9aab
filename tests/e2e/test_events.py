"""What every event of the running product promises: its envelope, its trace, and what it never holds."""

import re

import pytest

from common.kafka import KafkaSettings
from devstack.child_stack import ChildStack
from wevion_tokens.contracts import TOPICS, decode
from wevion_tokens.kafka import TopicReader
from wevion_tokens.telemetry import tracing

ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+\.[\w.]+")


@pytest.mark.timeout(300)
async def test_no_event_holds_an_address_and_each_belongs_to_a_trace(stack: ChildStack) -> None:
    kafka = KafkaSettings(bootstrap_servers=stack.demo["kafka_bootstrap"], client_id="test")
    seen: dict[str, int] = {}
    providers = set()
    async for record in TopicReader(kafka, *TOPICS).present():
        if record.value is None:
            continue
        event = decode(record.value, record.headers)
        where = f"{record.topic}/{record.partition}@{record.offset}"
        assert not ADDRESS.search(record.value), f"{where} of {event.source}: {record.value!r}"
        assert tracing.parse(event.traceparent) is not None, f"{where} of {event.source}: {event.traceparent}"
        seen[record.topic] = seen.get(record.topic, 0) + 1
        if record.topic == "token.state":
            providers.add(event.body.model_dump()["token"]["provider"])
    assert {"token.issued", "token.revoked", "token.state", "rule.paused", "notice.sent"} <= set(seen)
    assert {"google-drive", "wevion", "meta"} <= providers
