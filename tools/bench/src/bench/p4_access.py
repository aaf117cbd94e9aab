"""P4: the access token of an account for services, no refresh needed, against bare lookup + decrypt."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from bench import identity
from bench.ceilings import lookup
from bench.imported import write_grants
from bench.load import get
from bench.pairs import Side, compared
from bench.results import Result
from bench.stack import Stack, free_port
from common.crypto import Keyring

MUST = 0.7
ACCOUNTS = 500
PREFIX = "p4."
CLIENT = "bench"

PROVIDERS = """
[providers.bench]
title = "Bench"
client_id = "bench"
client_secret = "bench"
authorize_url = "https://provider.example/authorize"
token_url = "https://provider.example/token"
client_auth = "post"
rotation = "reusable"
"""


async def run(stack: Stack, *, quick: bool) -> list[Result]:
    """Measure both in turn, and compare the pairs."""
    sides = [Side(*await start(stack)) for start in (_start_ours, _start_bare)]
    measure = "access token for services, per process"
    return [await compared(*sides, quick=quick, id_="P4", measure=measure, must=MUST, aim=1.0)]


async def _start_ours(stack: Stack) -> tuple[int, list[bytes]]:
    served = await serve_grants(stack, PREFIX)
    token = await served.people.service_token(CLIENT, served.secret)
    return served.port, _requests(served.port, served.accounts, {"Authorization": f"Bearer {token}"})


async def serve_grants(stack: Stack, prefix: str) -> "Served":
    """session-svc and oauth-svc on topics of their own, with accounts whose tokens need no refresh."""
    people = await identity.start(stack, prefix)
    secret = people.create_client(stack, CLIENT, "tokens:read")
    names = ("keyring-oauth.json", "providers.toml", "grants.jsonl")
    keyring, providers, lines = (stack.folder / f"{prefix}{name}" for name in names)
    Keyring.generate().write(keyring)
    providers.write_text(PROVIDERS)
    write_grants(lines, ACCOUNTS, ends=datetime.now(UTC) + timedelta(days=30))
    dsn = await stack.database("oauth_svc")
    settings = people.verification() | {"keyring_file": str(keyring), "providers_file": str(providers)}
    environment = stack.environment(**settings, database_url=dsn, kafka_topic_prefix=prefix)
    await asyncio.to_thread(stack.verb, ["oauth-svc", "import", "--file", str(lines)], environment)
    service = await stack.service("oauth-svc", "oauth_svc", prefix, **settings, database_url=dsn)
    connection = await asyncpg.connect(dsn)
    accounts: list[UUID] = [row["account_id"] for row in await connection.fetch("SELECT account_id FROM account")]
    await connection.close()
    return Served(people, secret, service.port, dsn, accounts)


@dataclass(frozen=True, slots=True)
class Served:
    """What `serve_grants` started."""

    people: identity.Identity
    secret: str
    port: int
    dsn: str
    accounts: list[UUID]


async def _start_bare(stack: Stack) -> tuple[int, list[bytes]]:
    port = free_port()
    program = [str(Path(lookup.__file__)), "--port", str(port), "--accounts", str(ACCOUNTS)]
    arguments = ["python", *program, "--dsn", await stack.database()]
    child = stack.start("p4-bare", arguments, stack.environment())
    await stack.ready(child, f"http://127.0.0.1:{port}/livez")
    return port, _requests(port, [lookup.account_id(number) for number in range(ACCOUNTS)], {})


def _requests(port: int, accounts: list[UUID], headers: dict[str, str]) -> list[bytes]:
    return [get(f"/api/v1/accounts/{account}/access-token", f"127.0.0.1:{port}", headers) for account in accounts]
