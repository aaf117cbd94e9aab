"""Put aside what cannot be handled, with its reason, and stop when too much of it comes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from common.contracts import DLQ_SUFFIX
from common.kafka.producer import Outgoing
from common.runtime.clock import monotonic

MAX_REASON_CHARS = 500


class TooManyDeadLettersError(Exception):
    """So much is bad that going on would hide a fault of ours; the consumer stops and says so."""


@dataclass(slots=True)
class DeadLetterLimit:
    """At most `count` dead letters in `window_s` seconds (after arroyo's DlqLimit)."""

    count: int = 1000
    window_s: float = 600.0
    _times: list[float] = field(default_factory=list)

    def note(self) -> None:
        """Count one.

        Raises:
            TooManyDeadLettersError: the limit is passed.

        """
        moment = monotonic()
        self._times = [time for time in self._times if time > moment - self.window_s]
        self._times.append(moment)
        if len(self._times) > self.count:
            raise TooManyDeadLettersError(f"over {self.count} dead letters in {self.window_s:.0f} s")


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
    """The record for `<topic>.dlq`: the original untouched, and where it came from and why in `dlq_` headers."""
    kept = [(name, raw) for name, raw in headers if not name.startswith("dlq_")]
    added = [
        ("dlq_reason", reason[:MAX_REASON_CHARS].encode()),
        ("dlq_consumer", consumer.encode()),
        ("dlq_topic", topic.encode()),
        ("dlq_partition", str(partition).encode()),
        ("dlq_offset", str(offset).encode()),
    ]
    return Outgoing(topic=topic + DLQ_SUFFIX, key=key or b"", value=value, headers=(*kept, *added))
