"""Events leave with the change that causes them (outbox), and have their effect once (inbox).

At least once on the wire, exactly once in effect: docs/architecture/flow.md says what that needs of a consumer.
"""

from common.outbox.enqueue import SHARDS, enqueue, enqueue_tombstone
from common.outbox.express import Express
from common.outbox.inbox import accept, purge
from common.outbox.relay import Relay, RelayStatus

__all__ = ["SHARDS", "Express", "Relay", "RelayStatus", "accept", "enqueue", "enqueue_tombstone", "purge"]
