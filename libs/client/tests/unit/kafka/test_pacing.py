"""A broker that is away is not asked for metadata without a pause."""

import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from wevion_tokens.kafka.pacing import AFTER_A_FAILURE_S, paced


@pytest.mark.parametrize("kind", [AIOKafkaConsumer, AIOKafkaProducer])
async def test_a_failed_update_is_followed_by_a_pause(kind: type[AIOKafkaConsumer] | type[AIOKafkaProducer]) -> None:
    """The real client, which has no connection. Without the pause its loops take a whole core."""
    client = kind(bootstrap_servers="127.0.0.1:9")
    paced(client)
    inner = client.client if isinstance(client, AIOKafkaProducer) else client._client
    began = time.monotonic()
    assert await inner._metadata_update(inner.cluster, ()) is False
    assert time.monotonic() - began >= AFTER_A_FAILURE_S, "the least that it can take, however slow the machine"
    await client.stop()
