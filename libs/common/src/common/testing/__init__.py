"""Real infrastructure and small instruments for tests and tools.

Services never import this package (an import contract says so); tests, `tools/devstack` and `tools/bench` do.
Nothing here stands in for Kafka or PostgreSQL: `processes` starts the real ones.
"""

from common.testing.clock import ManualClock
from common.testing.eventually import eventually
from common.testing.fault_proxy import FaultProxy
from common.testing.stack import DatabaseFactory, KafkaForTest

__all__ = ["DatabaseFactory", "FaultProxy", "KafkaForTest", "ManualClock", "eventually"]
