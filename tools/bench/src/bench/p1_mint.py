"""P1: `/api/v1/auth/token` of one process, against bare aiohttp + one indexed lookup + one EdDSA signature."""

import hashlib
import secrets
from pathlib import Path

import asyncpg

from bench import identity
from bench.ceilings import mint
from bench.load import get
from bench.pairs import Side, compared
from bench.results import Result
from bench.stack import Stack, free_port

MUST = 0.85
SESSIONS = 6
EMAIL = "bench@wevion.example"
PREFIX = "p1."


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Measure both in turn, and compare the pairs."""
    sides = [_side(*await start(stack)) for start in (_start_ours, _start_bare)]
    measure = "/api/v1/auth/token per process"
    return [await compared(*sides, quick=quick, id_="P1", measure=measure, must=MUST, aim=0.95)]


def _side(port: int, cookies: list[str]) -> Side:
    host = f"127.0.0.1:{port}"
    return Side(port, [get("/api/v1/auth/token", host, {"Cookie": f"wevion_session={cookie}"}) for cookie in cookies])


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
