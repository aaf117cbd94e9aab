"""Every SQL statement of oauth-svc, by table. It remembers; it does not decide."""

from common.postgres import Connection as Db

from . import access, connections, credentials, doubts, gaps, health, keys, schedule, states

__all__ = ["Db", "access", "connections", "credentials", "doubts", "gaps", "health", "keys", "schedule", "states"]
