"""When a grant is looked at next: two thirds of the life with hashed jitter, back-off, and the floors.

Every figure is a pure function of the grant and the time, so that replicas agree and a retry never rolls again.
"""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

JITTER = 0.05
"""Half-width of the spread, as a share of the life."""

BACKOFF_BASE = timedelta(seconds=5)
BACKOFF_CAP = timedelta(hours=1)

OUR_BUG_PAUSE = timedelta(minutes=5)
"""How long a call that our own set-up made fail is left alone: nothing changes until an operator acts."""


def unit_hash(*parts: object) -> float:
    """Return a number in [0, 1) that is the same for the same parts on every replica."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def refresh_at(connection_id: UUID, issued_at: datetime, expires_at: datetime | None) -> datetime | None:
    """Return two thirds of the life (half of it under ten minutes), give or take five per cent; None without an end."""
    if expires_at is None:
        return None
    life = expires_at - issued_at
    if life <= timedelta(0):
        return issued_at
    share = 2 / 3 if life >= timedelta(minutes=10) else 1 / 2
    jitter = (2 * unit_hash(connection_id, issued_at.isoformat()) - 1) * JITTER
    return issued_at + life * (share + jitter)


def backoff(connection_id: UUID, attempt: int) -> timedelta:
    """Doubling from `BACKOFF_BASE` to `BACKOFF_CAP`; the hashed jitter only subtracts, up to a quarter."""
    doublings: int = 1 << min(max(attempt - 1, 0), 20)
    full = min(BACKOFF_BASE * doublings, BACKOFF_CAP)
    return full * (1 - 0.25 * unit_hash(connection_id, attempt))


def retry_at(connection_id: UUID, attempt: int, now: datetime, *, retry_after_s: float | None = None) -> datetime:
    """Return our back-off, or the platform's own figure when that is later (bounded by a day against nonsense).

    Args:
        connection_id: the connection.
        attempt: how many tries have failed.
        now: the present time, in UTC.
        retry_after_s: the seconds that the platform asks to wait; None if it names none.

    """
    wait = backoff(connection_id, attempt)
    if retry_after_s is not None and retry_after_s > 0:
        stated = timedelta(seconds=min(retry_after_s, 86_400.0))
        spread = timedelta(seconds=min(retry_after_s, 60.0) * 0.1 * unit_hash(connection_id, attempt))
        wait = max(wait, stated + spread)
    return now + wait
