"""Faust's consumer, kept from committing past a message that is still in flight.

The stock consumer (0.15.3) takes the offsets after the committed one for contiguous without looking whether the one
in between was acknowledged, so an acknowledgement out of order commits past it and a crash then loses it
(faust-streaming#606). Here the commit never passes the lowest offset in flight. Private attributes are used:
tests/unit/test_safe_consumer.py simulates the real class and fails when they change.
"""

from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types.tuples import TP, ack_lock


class SafeConsumer(Consumer):
    """The stock consumer with the commit capped at the lowest unacknowledged offset."""

    def _new_offset(self, tp: TP) -> int | None:
        with ack_lock:
            in_flight = [message.offset for message in self._unacked_messages if message.tp == tp and not message.acked]
            if not in_flight:
                offset: int | None = super()._new_offset(tp)
                return offset
            lowest = min(in_flight)
            acked = self._acked[tp]
            held_back = [offset for offset in acked if offset > lowest]
            acked[:] = [offset for offset in acked if offset < lowest]
            try:
                offset = super()._new_offset(tp)
            finally:
                self._acked[tp].extend(held_back)
            return None if offset is None else min(offset, lowest)


class SafeTransport(Transport):
    """Kafka as Faust knows it, with the safe consumer."""

    Consumer = SafeConsumer
