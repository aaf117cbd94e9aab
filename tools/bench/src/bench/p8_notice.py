"""P8: from a dead grant, as oauth-svc commits the fact, to the notice that its maker reads in the app."""

import asyncio
from uuid import UUID

import aiohttp

from bench import identity
from bench.grants import Grant
from bench.results import Result, quantile
from bench.stack import Stack
from bench.wire import Speaker, speaking
from common.runtime.clock import monotonic

MUST_P95_MS = 1000.0
PREFIX = "p8."
EMAIL = "maker@wevion.example"
CLIENT = "notifier"
LOOK_EVERY_S = 0.005
PATIENCE_S = 20.0


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """One connection after the other dies, and its maker looks at the list of notices until it is there."""
    rounds = 20 if quick else 100
    people = await identity.start(stack, PREFIX)
    maker = UUID(people.create_user(stack, EMAIL, "owner"))
    token = (await people.sign_in(EMAIL)).token
    secret = people.create_client(stack, CLIENT, "users:read")
    notifier = await stack.service(
        "notifier",
        "notifier",
        PREFIX,
        session_url=people.url,
        service_client_id=CLIENT,
        service_client_secret=secret,
        **people.verification(),
    )
    grants = [Grant(UUID(people.workspace_id), maker) for _ in range(rounds + 1)]
    delays: list[float] = []
    headers = {"Authorization": f"Bearer {token}"}
    async with speaking(stack, PREFIX) as speaker, aiohttp.ClientSession(headers=headers) as http:
        await speaker.say(*(fact for grant in grants for fact in grant.connected()))
        for number, grant in enumerate(grants):
            delay = await _noticed(http, f"{notifier.url}/api/v1/notices?limit=1", speaker, grant)
            if number > 0:  # the first also waits for the connections above to be taken in
                delays.append(delay)
    p95 = quantile(delays, 0.95)
    return [
        Result(
            id="P8",
            measure="dead grant seen to notice in the app, p95",
            ours=p95,
            unit="ms",
            must=f"< {MUST_P95_MS:.0f} (aim 300)",
            met=p95 < MUST_P95_MS,
            details={"p50 ms": quantile(delays, 0.5), "max ms": max(delays), "notices": float(len(delays))},
        )
    ]


async def _noticed(http: aiohttp.ClientSession, url: str, speaker: Speaker, grant: Grant) -> float:
    """Milliseconds from the commit of the death to the answer that shows its notice."""
    committed = await speaker.say(*grant.died())
    while monotonic() < committed + PATIENCE_S:
        async with http.get(url) as answer:
            items = (await answer.json())["items"]
        if items and items[0]["token_id"] == str(grant.token_id):
            return (monotonic() - committed) * 1000
        await asyncio.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"no notice within {PATIENCE_S:.0f} s")
