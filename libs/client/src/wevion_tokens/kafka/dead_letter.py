"""Put aside what cannot be handled, with its reason, and stop when too much of it comes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wevion_tokens.contracts import DLQ_SUFFIX
from wevion_tokens.kafka.producer import Outgoing
from wevion_tokens.runtime.clock import monotonic

MAX_REASON_CHARS = 500
VALUE_LEFT_OUT = "dlq_value_left_out"
"""This header of a dead letter says where the value is, because it was too large to be copied."""


class TooManyDeadLettersError(Exception):
    """So much is bad that going on would hide a fault of ours; the consumer stops and says so."""


@dataclass(slots=True)
class DeadLetterLimit:
    """At most `count` dead letters in `window_s` seconds; past it, none for as long again (after arroyo's DlqLimit)."""

    count: int = 1000
    window_s: float = 600.0
    _times: list[float] = field(default_factory=list)
    _stopped_until: float = 0.0

    @property
    def stopped_for_s(self) -> float:
        """Return seconds until dead letters may be sent again; 0 when they may."""
        return max(self._stopped_until - monotonic(), 0.0)

    def note(self) -> None:
        """Count one.

        Raises:
            TooManyDeadLettersError: the limit is passed.

        """
        moment = monotonic()
        self._times = [time for time in self._times if time > moment - self.window_s]
        if len(self._times) >= self.count:
            self._times.clear()
            self._stopped_until = moment + self.window_s
        if self.stopped_for_s > 0:
            raise TooManyDeadLettersError(f"over {self.count} dead letters in {self.window_s:.0f} s")
        self._times.append(moment)


def dead_letter(
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]],
    consumer: str,
    reason: str,
) -> Outgoing:
    """Return the record for `<topic>.dlq`: the original untouched, and where it came from and why in `dlq_` headers.

    Args:
        topic: the contract's name of the topic that it came from.
        partition: which of its partitions.
        offset: its place there.
        key: the record's key.
        value: its value.
        headers: its headers.
        consumer: the consumer group that could not read or handle it.
        reason: why, in words; cut at `MAX_REASON_CHARS`.

    Returns:
        What a producer sends.

    """
    kept = [(name, raw) for name, raw in headers if not name.startswith("dlq_")]
    added = [
        ("dlq_reason", reason[:MAX_REASON_CHARS].encode()),
        ("dlq_consumer", consumer.encode()),
        ("dlq_topic", topic.encode()),
        ("dlq_partition", str(partition).encode()),
        ("dlq_offset", str(offset).encode()),
    ]
    return Outgoing(topic=topic + DLQ_SUFFIX, key=key or b"", value=value, headers=(*kept, *added))
