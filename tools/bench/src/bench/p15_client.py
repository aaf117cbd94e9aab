"""P15: access tokens from the client's cache while connections end, and uncached beside a bare call.

The loop that takes tokens checks each one: given out after its last second, or later than `TOLD_WITHIN_S` after its
connection's end was on the wire, it is counted as a failure.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import asyncpg

from bench.p4_access import CLIENT, Served, serve_grants
from bench.results import Result, paired_ratio
from bench.stack import Stack
from common.contracts import TokenRevokedV1, encode_body, encode_headers
from common.kafka import EventProducer, Outgoing
from common.runtime.clock import monotonic
from common.testing import eventually
from wevion_tokens import ConnectionEndedError, TokensClient, TokensProfile
from wevion_tokens.testing import example

MUST_CACHED = 200_000.0
MUST_UNCACHED = 0.9
TOLD_WITHIN_S = 1.0
PREFIX = "p15."
IN_FLIGHT = 16
_BURST = 200  # tokens between two turns of the event loop, as a busy service would take them
_SEED = 15
_NEVER_CACHED = 1e9  # seconds: a token that lives for less is asked for each time


@dataclass(slots=True)
class Taken:
    """What the loop saw."""

    tokens: int = 0
    seconds: float = 0.0
    wrong: int = 0
    latest_s: float = 0.0
    ended: dict[UUID, float] = field(default_factory=dict)  # connection -> when its end was on the wire


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Measure the cache first, then both ways without it in turn."""
    served = await serve_grants(stack, PREFIX)
    profile = TokensProfile(
        oauth_url=f"http://127.0.0.1:{served.port}",
        token_url=f"{served.people.url}/oauth2/token",
        service_client_id=CLIENT,
        service_client_secret=served.secret,
        kafka_bootstrap_servers=stack.kafka.bootstrap,
        kafka_topic_prefix=PREFIX,
    )
    async with TokensClient(profile) as client:
        taken = await _cached(stack, client, served, seconds=3.0 if quick else 15.0)
    rate = taken.tokens / taken.seconds
    ours, bare = await _uncached(profile, served, rounds=3 if quick else 9)
    ratio = paired_ratio(ours, bare)
    return [
        Result(
            id="P15",
            measure="client: access tokens from the cache, connections ending meanwhile",
            ours=rate,
            unit="tokens/s",
            must=f">= {MUST_CACHED:,.0f}/s, none ended; uncached >= {MUST_UNCACHED} of a bare call",
            met=rate >= MUST_CACHED and not taken.wrong and bool(taken.ended) and ratio >= MUST_UNCACHED,
            ceiling=None,
            ratio=None,
            details={
                "connections ended": float(len(taken.ended)),
                "given out after the end": float(taken.wrong),
                "latest after the end ms": taken.latest_s * 1000,
                "uncached/s": sorted(ours)[len(ours) // 2],
                "bare call/s": sorted(bare)[len(bare) // 2],
                "uncached ratio": ratio,
            },
        )
    ]


async def _cached(stack: Stack, client: TokensClient, served: Served, *, seconds: float) -> Taken:
    numbers = random.Random(_SEED)
    await eventually(client.follows_changes, 30, what="the client follows changes")
    accounts = list(served.accounts)
    for account in accounts:
        await client.token(account)
    taken = Taken()
    ending = asyncio.create_task(_end_some(stack, served, taken, every_s=seconds / 60))
    started = monotonic()
    while monotonic() - started < seconds:
        for account in numbers.choices(accounts, k=_BURST):
            try:
                async with client.access_token(account) as token:
                    taken.tokens += 1
                    if token.connection_id in taken.ended:
                        late = monotonic() - taken.ended[token.connection_id]
                        taken.latest_s = max(taken.latest_s, late)
                        taken.wrong += late > TOLD_WITHIN_S
                    if token.expires_at is not None and not taken.tokens % _BURST:
                        taken.wrong += token.expires_at <= datetime.now(UTC)
            except ConnectionEndedError:
                accounts.remove(account)
                break
        await asyncio.sleep(0)
    taken.seconds = monotonic() - started
    ending.cancel()
    await asyncio.wait({ending})
    return taken


async def _end_some(stack: Stack, served: Served, taken: Taken, *, every_s: float) -> None:
    """End one connection after the other: in oauth-svc's database, and on the wire."""
    database = await asyncpg.connect(served.dsn)
    producer = EventProducer(stack.kafka_settings(PREFIX))
    try:
        for row in await database.fetch("SELECT connection_id, version FROM connection LIMIT 50"):
            await asyncio.sleep(every_s)
            await database.execute(
                "UPDATE connection SET status = 'revoked', since = now(), version = version + 1"
                " WHERE connection_id = $1",
                row["connection_id"],
            )
            told = example(
                TokenRevokedV1, "user_removed_app", token_id=row["connection_id"], version=row["version"] + 1
            )
            key = told.body.subject().encode()
            await producer.send_all([Outgoing(told.topic, key, encode_body(told.body), encode_headers(told))])
            taken.ended[row["connection_id"]] = monotonic()
    finally:
        await producer.stop()
        await database.close()


async def _uncached(profile: TokensProfile, served: Served, *, rounds: int) -> tuple[list[float], list[float]]:
    """Both ask oauth-svc for each token anew, over as many connections."""
    jwt = await served.people.service_token(CLIENT, served.secret)
    headers = {"Authorization": f"Bearer {jwt}"}
    accounts = served.accounts[len(served.accounts) // 2 :]  # those of connections that did not end
    ours, bare = [], []
    async with (
        aiohttp.ClientSession() as http,
        TokensClient(profile, follow=False, margin_s=_NEVER_CACHED) as client,
    ):

        async def ask_bare(account: UUID) -> None:
            url = f"{profile.oauth_url}/api/v1/accounts/{account}/access-token?min_ttl=3600"
            async with http.get(url, headers=headers) as answer:
                assert answer.status in {200, 409}  # noqa: S101
                await answer.json()

        async def ask_ours(account: UUID) -> None:
            with suppress(ConnectionEndedError):
                await client.token(account)

        for number in range(-1, rounds):  # the first pair only warms up
            pair = (await _rate(ask_ours, accounts), await _rate(ask_bare, accounts))
            if number >= 0:
                ours.append(pair[0])
                bare.append(pair[1])
    return ours, bare


async def _rate(ask: Callable[[UUID], Awaitable[None]], accounts: list[UUID]) -> float:
    todo = iter(accounts * 4)

    async def work() -> None:
        for account in todo:
            await ask(account)

    started = monotonic()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return len(accounts) * 4 / (monotonic() - started)
