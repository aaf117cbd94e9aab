"""What the tests of `tests/chaos` share: chance and length of a test, grants in bulk, and the promises at its end."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from common.postgres import Pool, open_pool
from common.runtime.clock import monotonic
from common.runtime.ids import new_id
from common.testing import eventually
from devstack.platforms import GENERIC, simulated
from devstack.record import Record, some
from devstack.stack import READY_TIMEOUT_S, Stack
from devstack.terminal import say
from devstack.traffic import EFFECT_WITHIN_S, Traffic

#: What the expiry-watcher's inventory is made of.
INVENTORY_TOPICS = frozenset({"token.issued", "token.refreshed", "token.revoked", "token.state"})
#: What oauth-svc is told to ask a platform for at most, all replicas together; its burst is a second's worth.
RATE_PER_S = 60
#: Requests per second and burst above which the platforms refuse. A platform's limit is above what we are set to by a
#: margin, because what is sent evenly does not arrive evenly; three replicas with a bucket each would be far above it.
PLATFORM_LIMIT = (RATE_PER_S * 1.5, RATE_PER_S * 1.5)
IMPORT_TIMEOUT_S = 60.0
LEDGER_PAGE = 10_000
#: What the ledger calls a refresh that was granted.
REFRESHED = frozenset({"rotated", "refreshed"})
#: Faults that lose an answer by themselves. A slow one is lost only when who waits for it is killed.
LOSE_ANSWERS = frozenset({"reset_after_answer", "malformed", "status", "html"})
WORKSPACES = 10


@dataclass(slots=True)
class Chaos:
    """One test's chance, its length, and what it says on the way."""

    seed: int
    chance: random.Random
    #: 0: the short form.
    minutes: float
    began: float = field(default_factory=monotonic)

    def seconds(self, short_s: float) -> float:
        """How long to go on: `short_s`, or the minutes that were asked for."""
        return self.minutes * 60 or short_s

    def say(self, text: str) -> None:
        """A line of progress; `make chaos` shows it at once, a failed test with its output."""
        say(f"  {monotonic() - self.began:6.1f} s  {text}")


async def imported(stack: Stack, count: int, provider: str = GENERIC) -> list[str]:
    """Grants at the platform, imported as connections that are due at once; what the platform calls them."""
    made = await stack.platforms.order("POST", f"/_sim/grants/{simulated(provider)}", {"count": count})
    workspaces = [str(new_id()) for _ in range(WORKSPACES)]
    lines = [
        json.dumps(
            {
                "provider": provider,
                "workspace_id": workspaces[number % WORKSPACES],
                "owner_user_id": workspaces[0],
                "external_user_id": grant["grant"],
                "accounts": [{"external_id": f"of-{grant['grant']}", "name": f"Account {number}"}],
                "access_token": grant["access_token"],
                "refresh_token": grant["refresh_token"],
                "access_expires_at": "2020-01-01T00:00:00Z",
            }
        )
        for number, grant in enumerate(made["grants"])
    ]
    file = stack.layout.root / f"grants-{new_id()}.jsonl"
    await asyncio.to_thread(file.write_text, "\n".join(lines))
    process = stack.process("oauth-svc")
    child = await asyncio.create_subprocess_exec(process.argv[0], "import", "--file", str(file), env=process.env)
    async with asyncio.timeout(IMPORT_TIMEOUT_S):
        assert await child.wait() == 0
    return [grant["grant"] for grant in made["grants"]]


async def make_due(databases: "Databases", connections: Sequence[UUID]) -> None:
    """As if the time of their next refresh or probe had come. What rests, rests."""
    await databases["oauth-svc"].execute(
        """UPDATE schedule SET refresh_at = CASE WHEN refresh_at > now() THEN now() ELSE refresh_at END,
             probe_at = CASE WHEN probe_at > now() THEN now() ELSE probe_at END
           WHERE connection_id = ANY($1::uuid[])""",
        list(connections),
    )


async def limited(stack: Stack, provider: str, per_second: float, burst: float) -> None:
    """The platform refuses token requests above this rate, and counts what it refused."""
    order = {"endpoint": "token", "per_second": per_second, "burst": burst}
    await stack.platforms.order("PUT", f"/_sim/limits/{simulated(provider)}", order)


async def refused_for_rate(stack: Stack) -> dict[str, int]:
    """How many requests each platform refused because there were too many (not on a fault's order)."""
    found: dict[str, int] = (await stack.platforms.order("GET", "/_sim/limits"))["refused"]
    return found


@dataclass(slots=True)
class Ledger:
    """What the platforms wrote down about token requests: the oracle of the refresh engine."""

    entries: list[dict[str, Any]]
    presented_twice: dict[str, int]

    @classmethod
    async def read(cls, stack: Stack, provider: str, after: int = 0) -> "Ledger":
        """Every line of a provider from `after` on."""
        entries: list[dict[str, Any]] = []
        while True:
            path = f"/_sim/ledger?provider={simulated(provider)}&after={after}&limit={LEDGER_PAGE}"
            page = await stack.platforms.order("GET", path)
            entries += page["entries"]
            if len(page["entries"]) < LEDGER_PAGE:
                return cls(entries, page["presented_twice"])
            after = page["entries"][-1]["number"]

    @classmethod
    async def written(cls, stack: Stack) -> int:
        """How many lines there are by now."""
        number: int = (await stack.platforms.order("GET", "/_sim/ledger?limit=1"))["written"]
        return number


@dataclass(slots=True)
class Databases:
    """A pool for each service's database, to look at the truth itself."""

    pools: Mapping[str, Pool]

    @classmethod
    @asynccontextmanager
    async def opened(cls, stack: Stack) -> "AsyncIterator[Databases]":
        """Not while the server is away."""
        async with AsyncExitStack() as closing:
            pools = {}
            for service, url in stack.addresses.database_urls.items():
                pools[service] = await open_pool(url, application_name="chaos", max_size=2)
                closing.push_async_callback(pools[service].close)
            yield cls(pools)

    def __getitem__(self, service: str) -> Pool:
        return self.pools[service]

    async def drained(self) -> bool:
        """Every outbox is empty."""
        waiting = {name: await pool.fetchval("SELECT count(*) FROM outbox") for name, pool in self.pools.items()}
        assert not any(waiting.values()), waiting
        return True

    async def versions(self) -> dict[UUID, int]:
        """Every token of its two great owners, with the version that it has there."""
        rows = [
            *await self["oauth-svc"].fetch("SELECT connection_id AS token, version FROM connection"),
            *await self["session-svc"].fetch("SELECT session_id AS token, version FROM sessions"),
        ]
        return {row["token"]: row["version"] for row in rows}


async def all_ready(stack: Stack, names: Sequence[str] = ()) -> None:
    """Every part (or each of these) answers that it is ready. Raises `ChildFailedError` with what one says instead."""
    await asyncio.gather(
        *(stack.supervisor.wait_ready(name, READY_TIMEOUT_S) for name in names or stack.supervisor.names())
    )


async def promises_kept(stack: Stack, traffic: Traffic | None = None) -> Record:
    """After the last fault: everything accepted is there, every outbox is empty, and Kafka has all of it in order.

    What waits for a person since an answer was lost did lose one.

    Raises `AssertionError` with what is not so.
    """
    await all_ready(stack)
    async with Databases.opened(stack) as databases:
        versions = await databases.versions()  # before the outbox is empty: grants go on being refreshed
        await eventually(databases.drained, EFFECT_WITHIN_S, what="every outbox is empty")
        record = await Record.read(stack.addresses.kafka)
        follows = partial(_inventory_follows, databases, record)
        await eventually(follows, EFFECT_WITHIN_S, what="the inventory is complete")
        await held_with_reason(stack, databases)
    if traffic is not None:
        await traffic.kept()
    assert not record.unreadable, some(record.unreadable)
    assert not record.dead_letters, some(record.dead_letters)
    assert not record.went_back(), some(record.went_back())
    assert not (lost := record.missing(versions)), f"lost events: {some(lost.items())}"
    return record


async def held_with_reason(stack: Stack, databases: Databases) -> dict[UUID, str]:
    """The connections that wait for a person because an answer was lost, with what lost it: a fault, or a kill.

    Raises `AssertionError` if the platform's ledger does not say of each that it has taken the very credential that we
    still hold: then the grant is alive, and we have given it up.
    """
    rows = await databases["oauth-svc"].fetch(
        """SELECT c.connection_id, c.provider, c.status, c.last_failure, s.unknown_count,
                  encode(k.match_digest, 'hex') AS prefix
           FROM connection c JOIN schedule s USING (connection_id) JOIN credential k USING (connection_id)
           WHERE c.status IN ('degraded', 'expiring', 'expired') AND s.refresh_at IS NULL
             AND c.last_failure LIKE 'unknown_outcome%'"""
    )
    taken: dict[str, dict[str, str]] = {}
    for provider in {row["provider"] for row in rows}:
        entries = (await Ledger.read(stack, provider)).entries
        taken[provider] = {
            entry["prefix_sha256"]: entry["fault"] if entry["fault"] in LOSE_ANSWERS else "a kill"
            for entry in entries
            if entry["taken"] and entry["outcome"] in REFRESHED
        }
    causes: dict[UUID, str] = {}
    for row in rows:
        cause = taken[row["provider"]].get(row["prefix"])
        if cause is None and row["provider"] == "snapchat":
            cause = "its rule"  # whether Snapchat rotates is not known, so an answer that never came holds the grant
        assert cause is not None, f"alive at the platform, but held: {dict(row)}"
        causes[row["connection_id"]] = cause
    return causes


async def _inventory_follows(databases: Databases, record: Record) -> bool:
    rows = await databases["expiry-watcher"].fetch("SELECT token_id, version FROM token")
    known = {row["token_id"]: row["version"] for row in rows}
    behind = {
        token: (known.get(token), version)
        for token, version in record.newest(INVENTORY_TOPICS).items()
        if known.get(token, 0) < version
    }
    assert not behind, f"the inventory is behind: {some(behind.items())}"
    return True


async def complaints(stack: Stack, name: str) -> str:
    """What a part's /readyz complains of; empty when it is ready."""
    async with stack.http.get(f"{stack.addresses.operators_url(name)}/readyz") as answer:
        said: dict[str, Any] = await answer.json(content_type=None)
    return "; ".join(f"{check}: {word}" for check, word in said["checks"].items() if word != "ok")


@dataclass(frozen=True, slots=True)
class Samples:
    """A part's metrics at one moment, by name and labels as Prometheus writes them."""

    values: Mapping[str, float]

    @classmethod
    async def of(cls, stack: Stack, name: str) -> "Samples":
        async with stack.http.get(f"{stack.addresses.operators_url(name)}/metrics") as answer:
            text = await answer.text()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return cls({key: float(value) for key, _, value in lines})

    def total(self, metric: str) -> float:
        """The sum over all labels."""
        return sum(value for key, value in self.values.items() if key.partition("{")[0] == metric)
