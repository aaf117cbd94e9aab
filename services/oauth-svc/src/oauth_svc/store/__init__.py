"""Every SQL statement of oauth-svc, by table. It remembers; it does not decide."""

from common.postgres import Db
from oauth_svc.store import (
    access,
    accounts,
    attempts,
    connections,
    credentials,
    deletions,
    doubts,
    gaps,
    health,
    keys,
    listings,
    logins,
    risc,
    schedule,
    states,
    witness,
)

__all__ = [
    "Db",
    "access",
    "accounts",
    "attempts",
    "connections",
    "credentials",
    "deletions",
    "doubts",
    "gaps",
    "health",
    "keys",
    "listings",
    "logins",
    "risc",
    "schedule",
    "states",
    "witness",
]
