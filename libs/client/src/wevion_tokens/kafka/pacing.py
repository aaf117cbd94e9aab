"""aiokafka asks for metadata again at once when no broker answers: a whole core, for as long as the broker is away.

Its producer's loop with batches whose leader is unknown waits for the next metadata, and for nothing else (the
`retry_backoff_ms` of its documentation is not observed there; the Java client's is, KAFKA-4024). A whole core and six
thousand log lines a second were measured while a broker with traffic was stopped. There is no setting and no hook for
it, so the one private method through which every round goes gets a pause after a failure.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

AFTER_A_FAILURE_S = 0.25
LONG_POLL_MS = 2500
"""How long the broker keeps a fetch when there is nothing new; a record is answered at once. Longer saves little and
makes the first fetch after a rebalance wait behind the last one before it."""


def paced(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Let this client (not started yet) ask for metadata a few times a second at most while nobody answers."""
    inner: Any = client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001
    update = inner._metadata_update  # noqa: SLF001

    async def pausing(*arguments: Any) -> bool:
        updated: bool = await update(*arguments)
        if not updated:
            await asyncio.sleep(AFTER_A_FAILURE_S)
        return updated

    inner._metadata_update = pausing  # noqa: SLF001
