"""Urgent events go to Kafka a second way: from the process that committed them, at once, without the relay's lease.

The outbox row stays the guarantee, and the relay sends it too: same id, headers and bytes. So this way may lose
events, and readers must drop what is not newer than what they have, as they do anyway. Only for events that nothing
follows under their key: in a compacted topic, a late copy of an older state would otherwise be what is kept.
"""

import asyncio
from collections.abc import Sequence

from common.contracts import Event, EventBody, encode_body, encode_headers
from common.kafka import EventProducer, Outgoing
from common.outbox import metrics
from common.runtime.errors import PermanentError
from common.runtime.tasks import describe
from common.telemetry.logs import get_logger

_log = get_logger(__name__)

MOST_WAITING = 1000
"""More at once (a whole workspace is signed out) is left to the relay, whose batches are larger."""
SEND_TIMEOUT_S = 2.0
"""An urgent event that takes longer has lost its race with the relay."""

_SENT = metrics.EXPRESS.labels("sent")
_LEFT = metrics.EXPRESS.labels("left_to_relay")


class Express:
    """Sends urgent events beside the relay, best effort.

    Args:
        producer: of its own, with `SEND_TIMEOUT_S`; giving up here must not disturb the relay's sending.
        topics: where urgent events go.

    """

    def __init__(self, producer: EventProducer, *topics: str) -> None:
        self.ready = False
        """Whether it takes events. Without a broker it leaves them to the relay: later they would not be urgent."""
        self._producer = producer
        self._topics = topics
        self._waiting: list[Outgoing] = []
        self._woken = asyncio.Event()

    def send(self, events: Sequence[Event[EventBody]]) -> None:
        """Send these soon, if it can be done. Their transaction is committed. Never waits, never raises."""
        room = MOST_WAITING - len(self._waiting) if self.ready else 0
        taken = events[:room]
        self._waiting += [_outgoing(event) for event in taken]
        _LEFT.inc(len(events) - len(taken))
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled. Kafka trouble raises, and the supervisor runs it again."""
        await self._producer.start(*self._topics)  # before there is something urgent
        self.ready = True
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                batch, self._waiting = self._waiting, []
                if batch:
                    await self._send(batch)
        finally:
            self.ready = False
            _LEFT.inc(len(self._waiting))
            self._waiting = []

    async def _send(self, batch: list[Outgoing]) -> None:
        try:
            await self._producer.send_all(batch)
        except PermanentError as error:
            _LEFT.inc(len(batch))
            _log.warning("express_refused", records=len(batch), error=describe(error))
        except Exception:
            _LEFT.inc(len(batch))
            raise
        else:
            _SENT.inc(len(batch))


def _outgoing(event: Event[EventBody]) -> Outgoing:
    return Outgoing(
        topic=event.topic,
        key=event.body.subject().encode(),
        value=encode_body(event.body),
        headers=encode_headers(event),
    )
