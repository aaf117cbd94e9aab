"""For your tests: events as the services write them, without Kafka, and a clock that stands still.

event = example(TokenRevokedV1, version=7)
await follower.handle(event)
"""

from wevion_tokens.testing.clock import DEFAULT_START, ManualClock
from wevion_tokens.testing.examples import MemoryInbox, example

__all__ = ["DEFAULT_START", "ManualClock", "MemoryInbox", "example"]
