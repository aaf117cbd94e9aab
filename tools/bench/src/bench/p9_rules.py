"""P9: from a re-authorised grant, as oauth-svc commits the fact, to the last of its rules resumed on the wire."""

import asyncio
from uuid import UUID

import aiohttp

from bench import identity
from bench.grants import Grant
from bench.results import Result, quantile
from bench.stack import Stack
from bench.wire import Tally, hearing, speaking
from common.runtime.ids import new_id

MUST_P95_MS = 2000.0
RULES = 200
AT_ONCE = 8
PREFIX = "p9."
CLIENT = "bench"
PATIENCE_S = 30.0


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """The grant dies and comes back, again and again."""
    rounds = 5 if quick else 40
    people = await identity.start(stack, PREFIX)
    token = await people.service_token(CLIENT, people.create_client(stack, CLIENT, "rules:write"))
    pauser = await stack.service("rule-pauser", "rule_pauser", PREFIX, **people.verification())
    grant = Grant(UUID(people.workspace_id), new_id())
    paused, resumed = Tally(), Tally()
    pauses: list[float] = []
    resumes: list[float] = []
    async with (
        speaking(stack, PREFIX) as speaker,
        hearing(stack, PREFIX, ["rule.paused"], paused),
        hearing(stack, PREFIX, ["rule.resumed"], resumed),
    ):
        await speaker.say(*grant.connected())
        await _define_rules(f"{pauser.url}/api/v1/rules", token, grant)
        for number in range(-1, rounds):  # the first round only warms up
            paused.forget()
            died = await speaker.say(*grant.died())
            last_paused = await paused.reaches(RULES, within_s=PATIENCE_S)
            resumed.forget()
            back = await speaker.say(*grant.reauthorized())
            last_resumed = await resumed.reaches(RULES, within_s=PATIENCE_S)
            if number >= 0:
                pauses.append((last_paused - died) * 1000)
                resumes.append((last_resumed - back) * 1000)
    p95 = quantile(resumes, 0.95)
    return [
        Result(
            id="P9",
            measure=f"re-authorised to the last of {RULES} rules resumed, p95",
            ours=p95,
            unit="ms",
            must=f"< {MUST_P95_MS:.0f} (aim 500)",
            met=p95 < MUST_P95_MS,
            details={
                "p50 ms": quantile(resumes, 0.5),
                "max ms": max(resumes),
                "dead to last paused p95 ms": quantile(pauses, 0.95),
                "rounds": float(rounds),
            },
        )
    ]


async def _define_rules(url: str, token: str, grant: Grant) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:

        async def define(number: int) -> None:
            rule = {
                "workspace_id": str(grant.workspace_id),
                "name": f"Rule {number}",
                "account_ids": [str(grant.account_id)],
                "revision": 1,
            }
            async with slots, http.put(f"{url}/{new_id()}", json=rule) as answer:
                if answer.status != 200:  # noqa: PLR2004
                    raise RuntimeError(f"a rule was refused: {answer.status} {await answer.text()}")

        await asyncio.gather(*(define(number) for number in range(RULES)))
