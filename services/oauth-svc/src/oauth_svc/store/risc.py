"""The self-test of Google's stream of security events, a row per provider with a stream."""

from datetime import datetime

from common.postgres import Db, Pool


async def ask(db: Db | Pool, provider: str, now: datetime, *, not_since: datetime) -> bool:
    """Take the turn to ask for the event.

    Args:
        db: where the turns are kept.
        provider: whose stream.
        now: when it is asked.
        not_since: nobody may have asked after this.

    Returns:
        Whether the turn is the caller's.

    """
    asked = await db.fetchval(
        """INSERT INTO risc_stream AS r (provider, asked_at) VALUES ($1, $2)
           ON CONFLICT (provider) DO UPDATE SET asked_at = excluded.asked_at WHERE r.asked_at <= $3
           RETURNING true""",
        provider,
        now,
        not_since,
    )
    return bool(asked)


async def verified(db: Db | Pool, provider: str, state: str, now: datetime) -> None:
    """Remember that an event of the stream arrived.

    Args:
        db: in the transaction of the webhook.
        provider: whose stream.
        state: what the event repeats of the request for it.
        now: when it arrived.

    """
    await db.execute(
        """INSERT INTO risc_stream (provider, asked_at, verified_at, verified_state) VALUES ($1, $2, $2, $3)
           ON CONFLICT (provider) DO UPDATE SET verified_at = excluded.verified_at,
             verified_state = excluded.verified_state""",
        provider,
        now,
        state,
    )


async def last_verified(db: Db | Pool) -> dict[str, datetime]:
    """Return when an event arrived last, by provider."""
    rows = await db.fetch("SELECT provider, verified_at FROM risc_stream WHERE verified_at IS NOT NULL")
    return {row["provider"]: row["verified_at"] for row in rows}


async def arrived(db: Db | Pool, provider: str, state: str) -> bool:
    """Return whether the event with this state is the last that arrived."""
    return bool(
        await db.fetchval("SELECT true FROM risc_stream WHERE provider = $1 AND verified_state = $2", provider, state)
    )
