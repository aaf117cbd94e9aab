"""Real Kafka and PostgreSQL as child processes: free ports, a given folder, no root, no Docker.

An open port is not yet a server: `start` returns when the server has answered a real request. Only what was
started is ended. When the parent dies, however it dies, its children are told to stop (`leash`), and what
a machine without that leaves behind is found by its pid file and ended at the next start.
Data stays as long as its folder does.
"""

from common.testing.processes.cache import cache_folder
from common.testing.processes.child import Child, ChildFailedError, end_leftover
from common.testing.processes.kafka import Kafka
from common.testing.processes.ports import choose_port, port_is_free
from common.testing.processes.postgres import Postgres, binaries

__all__ = [
    "Child",
    "ChildFailedError",
    "Kafka",
    "Postgres",
    "binaries",
    "cache_folder",
    "choose_port",
    "end_leftover",
    "port_is_free",
]
