"""A rules engine that lives on events alone: it knows which accounts can be automated, and notes each change once.

It begins with the present state of every token (`token.state` is compacted) and follows the rest. The change and the
note of it are one transaction with the event's place in the inbox, so it may be killed at any moment.

    python examples/rules_engine/engine.py

Settings: `WEVION_*` as for `TokensProfile` (Kafka is enough) and `EXAMPLE_DATABASE_URL`.
"""

import asyncio
import os
import signal

import asyncpg

from wevion_tokens import TokensProfile
from wevion_tokens.contracts import (
    AccountAccess,
    AccountAccessChangedV1,
    Event,
    TokenExpiredV1,
    TokenIssuedV1,
    TokenKind,
    TokenRevokedV1,
    TokenStateV1,
)
from wevion_tokens.contracts.tokens import TokenEvent
from wevion_tokens.events import Follower
from wevion_tokens.events.postgres import Connection, PostgresInbox

TABLES = """
CREATE TABLE IF NOT EXISTS automation (account_id uuid PRIMARY KEY, token_id uuid NOT NULL, runs boolean NOT NULL);
CREATE TABLE IF NOT EXISTS change (event_id uuid NOT NULL, account_id uuid NOT NULL, runs boolean NOT NULL);
"""


async def main() -> None:
    profile = TokensProfile.from_environment(os.environ)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncpg.create_pool(os.environ["EXAMPLE_DATABASE_URL"], min_size=1, max_size=4) as pool:
        inbox = PostgresInbox(pool)
        await inbox.prepare()
        await pool.execute(TABLES)
        await following(profile, inbox).run(stop)


def following(profile: TokensProfile, inbox: PostgresInbox) -> Follower[Connection]:
    """Return the handlers."""
    follower: Follower[Connection] = Follower(profile.kafka("rules-engine"), "example-rules", inbox)

    @follower.on(TokenRevokedV1, TokenExpiredV1)
    async def stop(event: Event[TokenEvent], db: Connection) -> None:
        await note(event, db, runs=False)

    @follower.on(TokenIssuedV1)
    async def go_on(event: Event[TokenIssuedV1], db: Connection) -> None:
        await note(event, db, runs=True)

    @follower.on(TokenStateV1)
    async def know(event: Event[TokenStateV1], db: Connection) -> None:
        await note(event, db, runs=event.body.status.alive)

    @follower.on(AccountAccessChangedV1)
    async def one_account(event: Event[AccountAccessChangedV1], db: Connection) -> None:
        runs = event.body.access is AccountAccess.GRANTED
        await change(event.id, event.body.account.account_id, event.body.token_id, db, runs=runs)

    return follower


async def note(event: Event[TokenEvent], db: Connection, *, runs: bool) -> None:
    """Change what the event says about each of a grant's accounts."""
    token = event.body.token
    if token.kind is not TokenKind.SESSION:
        for account in token.accounts:
            await change(event.id, account.account_id, token.token_id, db, runs=runs)


async def change(event_id: object, account_id: object, token_id: object, db: Connection, *, runs: bool) -> None:
    """Change one account, and note it, if it is a change."""
    changed = await db.fetchval(
        "INSERT INTO automation AS held VALUES ($1, $2, $3) ON CONFLICT (account_id) DO UPDATE"
        " SET runs = excluded.runs, token_id = excluded.token_id WHERE held.runs <> excluded.runs RETURNING 1",
        account_id, token_id, runs,
    )  # fmt: skip
    if changed:
        await db.execute("INSERT INTO change VALUES ($1, $2, $3)", event_id, account_id, runs)


if __name__ == "__main__":
    asyncio.run(main())
