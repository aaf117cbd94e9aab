"""Faust's real consumer classes, simulated: the stock one loses messages, ours does not.

Guards the private attributes that `agents.safe` uses. If Faust changes them, this test fails; if Faust is repaired
(faust-streaming#606), `test_the_stock_consumer_still_needs_us` fails, and `agents.safe` can go.
"""

import random
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any, cast
from weakref import WeakSet

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types.tuples import TP
from intervaltree import IntervalTree  # type: ignore[import-untyped]

from expiry_watcher.agents.safe import SafeConsumer

TOPIC = TP("token.state", 0)
RUNS = 300


class Message:
    """As much of a Faust message as a consumer looks at."""

    def __init__(self, offset: int) -> None:
        self.tp, self.topic, self.offset, self.acked = TOPIC, TOPIC.topic, offset, False


class Topics:
    """Every topic is acknowledged."""

    def acks_enabled_for(self, _: str) -> bool:
        return True


class App:
    """As much of a Faust application as `Consumer.ack` looks at."""

    topics = Topics()


def bare(cls: type[Consumer]) -> Any:
    """A consumer with its bookkeeping and nothing else: no thread, no broker."""
    consumer = cast("Any", cls.__new__(cls))
    consumer.app = App()
    consumer._gap = defaultdict(IntervalTree)
    consumer._acked = defaultdict(list)
    consumer._acked_index = defaultdict(set)
    consumer._read_offset = defaultdict(lambda: None)
    consumer._committed_offset = defaultdict(lambda: None)
    consumer._unacked_messages = WeakSet()
    consumer._n_acked = 0
    consumer._waiting_for_ack = None
    return consumer


def simulate(cls: type[Consumer], seed: int) -> tuple[bool, bool]:
    """Deliver, acknowledge out of order, commit at random moments.

    Returns whether a commit ever passed a message in flight, and whether the last commit was the end.
    """
    rng = random.Random(seed)  # noqa: S311  a simulation that has to be repeatable
    consumer = bare(cls)
    committed = rng.choice([None, 0, 7, 2585])
    start = committed or 0
    consumer._committed_offset[TOPIC] = committed
    offsets = list(_offsets(rng, start))
    waiting = [Message(offset) for offset in offsets]
    flying: list[Message] = []
    passed = False
    while waiting or flying:
        move = rng.random()
        if waiting and move < 0.4:
            message = waiting.pop(0)
            _gap(consumer, message.offset)
            consumer._unacked_messages.add(message)
            flying.append(message)
        elif flying and move < 0.8:
            message = flying.pop(rng.randrange(len(flying)))
            consumer.ack(message)
        else:
            passed |= _commit(consumer, flying)
    for _ in range(len(offsets) + 1):
        passed |= _commit(consumer, flying)
    return passed, consumer._committed_offset[TOPIC] == offsets[-1] + 1


def _offsets(rng: random.Random, start: int) -> Iterator[int]:
    offset = start
    for _ in range(rng.randrange(1, 30)):
        yield offset
        offset += 1 if rng.random() < 0.85 else rng.randrange(2, 5)  # compaction leaves holes


def _gap(consumer: Any, offset: int) -> None:
    read = consumer._read_offset[TOPIC]
    if read is not None and offset - read > 1:
        _finish(consumer._add_gap(TOPIC, read + 1, offset - 1))
    consumer._read_offset[TOPIC] = offset


def _finish(coroutine: Coroutine[Any, None, None]) -> None:
    """Drive a coroutine that only yields to the loop."""
    with suppress(StopIteration):
        while True:
            coroutine.send(None)


def _commit(consumer: Any, flying: list[Message]) -> bool:
    offset = consumer._new_offset(TOPIC)
    if offset is None or not consumer._should_commit(TOPIC, offset):
        return False
    consumer._committed_offset[TOPIC] = offset
    return any(message.offset < offset for message in flying)


@pytest.mark.filterwarnings("ignore")
def test_the_safe_consumer_never_commits_past_a_message_in_flight() -> None:
    results = [simulate(SafeConsumer, seed) for seed in range(RUNS)]
    assert not any(passed for passed, _ in results)
    assert all(ended for _, ended in results), "every message is committed in the end"


@pytest.mark.filterwarnings("ignore")
def test_the_stock_consumer_still_needs_us() -> None:
    assert any(simulate(Consumer, seed)[0] for seed in range(RUNS))
