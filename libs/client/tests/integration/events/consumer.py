"""A service that follows events into a table of its own; killed by its test again and again."""

import asyncio
import sys

import asyncpg

from wevion_tokens.contracts import Event, TokenEvent, TokenIssuedV1, TokenRevokedV1
from wevion_tokens.events import Follower
from wevion_tokens.events.postgres import Connection, PostgresInbox
from wevion_tokens.kafka import KafkaSettings


async def main(bootstrap: str, prefix: str, dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
    kafka = KafkaSettings(bootstrap_servers=bootstrap, client_id="consumer", topic_prefix=prefix)
    follower: Follower[Connection] = Follower(kafka, "consumer", PostgresInbox(pool))

    @follower.on(TokenIssuedV1, TokenRevokedV1)
    async def note(event: Event[TokenEvent], db: Connection) -> None:
        token = event.body.token
        await db.execute(
            "INSERT INTO effect (event_id, token_id, what, version) VALUES ($1, $2, $3, $4)",
            event.id,
            token.token_id,
            event.topic,
            token.version,
        )

    await follower.run()


asyncio.run(main(*sys.argv[1:]))
