"""After the whole story: no secret in a log, an event, a metric, a page of the mailbox, or readable in a database."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from common.contracts import TOPICS
from common.kafka import KafkaSettings, TopicReader
from devstack.browser import Browser
from devstack.child_stack import ChildStack
from devstack.layout import Layout

LONG_ENOUGH = 12  # shorter values of a secrets file are names and numbers
SHAPES = {
    "a JWT": re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "a Meta access token": re.compile(rb"EAA[A-Za-z0-9]{30,}"),
    "a bearer header": re.compile(rb"[Bb]earer [A-Za-z0-9._~+/=-]{20,}"),
    "an authorization code": re.compile(rb"[?&]code=[A-Za-z0-9_%-]{8,}"),
    "a private key": re.compile(rb"PRIVATE KEY"),
}


def stored_secrets(layout: Layout) -> Iterator[tuple[str, bytes]]:
    """Every secret that the stack made: passwords, client secrets, keyrings, database passwords."""
    for path in sorted(layout.secrets.rglob("*")):
        if not path.is_file() or path.name == "identities.json":
            continue
        for value in re.findall(rb"[A-Za-z0-9_\-+/=]{12,}", path.read_bytes()):
            if re.search(rb"\d", value) and re.search(rb"[A-Z]", value):
                yield path.name, value


async def handed_out(demo: dict[str, Any]) -> dict[str, bytes]:
    """Secrets of this moment: a cookie, a JWT, access tokens of accounts that work."""
    found: dict[str, bytes] = {}
    owner = next(user for user in demo["users"] if user["role"] == "owner")
    found["the owner's password"] = owner["password"].encode()
    async with Browser(demo["gateway_url"]) as browser, aiohttp.ClientSession() as http:
        await browser.sign_in(owner["email"], owner["password"])
        found["the owner's JWT"] = (await browser.jwt()).encode()
        client = demo["service_client"]
        headers = {"Authorization": aiohttp.encode_basic_auth(client["id"], client["secret"])}
        form = {"grant_type": "client_credentials"}
        async with http.post(client["token_url"], data=form, headers=headers) as answer:
            jwt = (await answer.json())["access_token"]
        page = await browser.get("/api/v1/connections")
        accounts = [account["account_id"] for each in page["items"] for account in each["accounts"]]
        for account in accounts:
            url = f"{demo['services']['oauth-svc']}/api/v1/accounts/{account}/access-token"
            async with http.get(url, headers={"Authorization": f"Bearer {jwt}"}) as answer:
                if answer.ok:
                    found[f"the access token of {account}"] = (await answer.json())["access_token"].encode()
    return found


async def on_kafka(bootstrap: str) -> dict[str, bytes]:
    """Everything on every topic, headers included."""
    settings = KafkaSettings(bootstrap_servers=bootstrap, client_id="secrets-test")
    reader = TopicReader(settings, *TOPICS, *(topic.dlq for topic in TOPICS.values()))
    found: dict[str, bytearray] = {}

    async def read() -> None:
        async for record in reader:
            kept = found.setdefault(f"topic {record.topic}", bytearray())
            kept += record.key.encode() + b" " + (record.value or b"") + b" "
            kept += b" ".join(value for _, value in record.headers) + b"\n"

    task = asyncio.create_task(read())
    await asyncio.wait_for(reader.caught_up.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return {name: bytes(kept) for name, kept in found.items()}


async def in_databases(urls: dict[str, str]) -> dict[str, bytes]:
    """Every row of every table as text; sealed columns show as hex, which no plain secret survives unseen."""
    found: dict[str, bytes] = {}
    for service, url in urls.items():
        connection = await asyncpg.connect(url)
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in tables:
                rows = await connection.fetch(f'SELECT t::text AS row FROM "{table}" t')
                text = "\n".join(row["row"] for row in rows).encode()
                hexadecimal = re.findall(rb"\\+x([0-9a-f]{16,})", text)
                found[f"{service} table {table}"] = text + b"\n".join(bytes.fromhex(h.decode()) for h in hexadecimal)
        finally:
            await connection.close()
    return found


async def over_http(demo: dict[str, Any]) -> dict[str, bytes]:
    """The metrics of every service, and the mailbox."""
    found: dict[str, bytes] = {}
    async with aiohttp.ClientSession() as http:
        for name, url in demo["services"].items():
            async with http.get(f"{url}/metrics") as answer:
                found[f"metrics of {name}"] = await answer.read()
        async with http.get(demo["mailbox_url"], headers={"Accept": "application/json"}) as answer:
            found["the mailbox"] = await answer.read()
    return found


@pytest.mark.timeout(300)
def test_no_secret_leaves_its_place(stack: ChildStack) -> None:
    story = stack.tell_demo()
    printed, _ = story.communicate(timeout=200)
    assert story.returncode == 0, printed
    demo, layout = stack.demo, Layout(stack.folder)
    secrets = [*stored_secrets(layout), *asyncio.run(handed_out(demo)).items()]
    assert sum("access token" in name for name, _ in secrets) >= 3
    places = {"what the demo printed": printed.encode()}  # `make run` itself prints the demo's sign-ins, on purpose
    for path in sorted(layout.logs.glob("*.log")):
        if not path.name.startswith(("postgres", "kafka")):
            places[f"log {path.name}"] = path.read_bytes()
    places |= asyncio.run(on_kafka(demo["kafka_bootstrap"]))
    places |= asyncio.run(over_http(demo))
    databases = asyncio.run(in_databases(demo["database_urls"]))
    assert len(places) > 20
    leaks = [
        f"{name} in {place}" for place, text in (places | databases).items() for name, value in secrets if value in text
    ]
    leaks += [
        f"{shape} in {place}" for place, text in places.items() for shape, form in SHAPES.items() if form.search(text)
    ]
    assert not leaks, "\n".join(sorted(set(leaks)))
