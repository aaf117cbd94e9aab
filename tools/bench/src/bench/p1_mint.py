"""P1: `/api/v1/auth/token` of one process, against bare aiohttp + one indexed lookup + one EdDSA signature."""

import hashlib
import secrets
from pathlib import Path

import asyncpg

from bench import identity
from bench.ceilings import mint
from bench.load import Load, drive, get
from bench.results import Result, paired_ratio
from bench.stack import Stack, free_port

MUST = 0.85
CONNECTIONS = 32
SESSIONS = 6
EMAIL = "bench@wevion.example"
PREFIX = "p1."


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Measure both in turn, and compare the pairs."""
    ours_port, ours_cookies = await _start_ours(stack)
    bare_port, bare_cookies = await _start_bare(stack)
    rounds, seconds = (3, 2.0) if quick else (7, 4.0)
    ours: list[Load] = []
    bare: list[Load] = []
    for number in range(-1, rounds):  # the first pair only warms up
        pair = (
            await _window(ours_port, ours_cookies, seconds),
            await _window(bare_port, bare_cookies, seconds),
        )
        if number >= 0:
            ours.append(pair[0])
            bare.append(pair[1])
    failures = sum(load.failures for load in (*ours, *bare))
    ratio = paired_ratio([load.rate for load in ours], [load.rate for load in bare])
    middle = sorted(ours, key=lambda load: load.rate)[len(ours) // 2]
    return [
        Result(
            id="P1",
            measure="/api/v1/auth/token per process",
            ours=middle.rate,
            ceiling=sorted(load.rate for load in bare)[len(bare) // 2],
            ratio=ratio,
            unit="req/s",
            must=f">= {MUST} (aim 0.95)",
            met=ratio >= MUST and failures == 0,
            details={
                "p50 ms": middle.quantile_ms(0.5),
                "p99 ms": middle.quantile_ms(0.99),
                "failures": float(failures),
                "connections": float(CONNECTIONS),
            },
        )
    ]


async def _window(port: int, cookies: list[str], seconds: float) -> Load:
    host = f"127.0.0.1:{port}"
    requests = [get("/api/v1/auth/token", host, {"Cookie": f"wevion_session={cookie}"}) for cookie in cookies]
    return await drive("127.0.0.1", port, requests, connections=CONNECTIONS, seconds=seconds)


async def _start_ours(stack: Stack) -> tuple[int, list[str]]:
    ours = await identity.start(stack, PREFIX)
    ours.create_user(stack, EMAIL, "owner")
    return ours.port, [(await ours.sign_in(EMAIL)).cookie for _ in range(SESSIONS)]


async def _start_bare(stack: Stack) -> tuple[int, list[str]]:
    port = free_port()
    dsn = await stack.database()
    cookies = [secrets.token_urlsafe(32) for _ in range(SESSIONS)]
    connection = await asyncpg.connect(dsn)
    await connection.execute(mint.SETUP)
    await connection.executemany(
        """INSERT INTO bare_session
           VALUES ($1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'owner', 1,
                   now() + interval '7 days')""",
        [(hashlib.sha256(cookie.encode()).digest(),) for cookie in cookies],
    )
    await connection.close()
    program = Path(mint.__file__)
    child = stack.start("p1-bare", ["python", str(program), "--dsn", dsn, "--port", str(port)], stack.environment())
    await stack.ready(child, f"http://127.0.0.1:{port}/livez")
    return port, cookies
