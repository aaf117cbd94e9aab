"""P7: from the answer to a forced logout to the refusal at each of three verifiers, each a process of its own."""

import asyncio
from pathlib import Path

import aiohttp

from bench import identity, verifier_process
from bench.results import Result, quantile
from bench.stack import Stack, free_port
from common.runtime.clock import monotonic

MUST_P99_MS = 100.0
VERIFIERS = 3
ADMIN, MEMBER = "admin@wevion.example", "member@wevion.example"
PREFIX = "p7."


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Sign in, watch the JWT at all verifiers, end the session, and take the times."""
    rounds = 15 if quick else 100
    ours = await identity.start(stack, PREFIX)
    ours.create_user(stack, ADMIN, "owner")
    ours.create_user(stack, MEMBER, "member")
    ports = [await _start_verifier(stack, ours, number) for number in range(VERIFIERS)]
    delays: list[float] = []
    unseen = 0
    admin = await ours.sign_in(ADMIN)
    async with aiohttp.ClientSession() as http:
        for _ in range(rounds):
            member = await ours.sign_in(MEMBER)
            watches = [asyncio.create_task(_watch(http, port, member.token)) for port in ports]
            await asyncio.sleep(0.05)  # until each of them is looking
            path = f"{ours.url}/api/v1/admin/sessions/{member.session_id}"
            async with http.delete(path, headers={"Authorization": f"Bearer {admin.token}"}) as answer:
                answered = monotonic()
                if answer.status >= 400:  # noqa: PLR2004
                    raise RuntimeError(f"the forced logout failed: {answer.status} {await answer.text()}")
            for refused_at in await asyncio.gather(*watches):
                if refused_at is None:
                    unseen += 1
                else:
                    delays.append(max(refused_at - answered, 0.0) * 1000)
    p99 = quantile(delays, 0.99)
    return [
        Result(
            id="P7",
            measure=f"forced logout to refusal at {VERIFIERS} verifiers, p99",
            ours=p99,
            unit="ms",
            must=f"< {MUST_P99_MS:.0f} (aim 25)",
            met=p99 < MUST_P99_MS and unseen == 0,
            details={
                "p50 ms": quantile(delays, 0.5),
                "max ms": max(delays),
                "refusals": float(len(delays)),
                "never refused": float(unseen),
            },
        )
    ]


async def _watch(http: aiohttp.ClientSession, port: int, token: str) -> float | None:
    async with http.post(f"http://127.0.0.1:{port}/watch", data=token) as answer:
        refused_at: float | None = (await answer.json())["refused_at"]
        return refused_at


async def _start_verifier(stack: Stack, ours: identity.Identity, number: int) -> int:
    port = free_port()
    arguments = {
        "--kafka": stack.kafka.bootstrap,
        "--topic-prefix": PREFIX,
        "--jwks-url": f"{ours.url}/.well-known/jwks.json",
        "--issuer": identity.ORIGIN,
        "--port": str(port),
    }
    program = [str(Path(verifier_process.__file__)), *(part for pair in arguments.items() for part in pair)]
    child = stack.start(f"p7-verifier-{number}", ["python", *program], stack.environment())
    await stack.ready(child, f"http://127.0.0.1:{port}/readyz")
    return port
