"""R1: SIGKILL of any service at any moment, in a loop, with three replicas of oauth-svc, on a bad day of the platform.

The platform's ledger is the oracle: no single-use refresh token is presented twice, and no limit of the platform is
passed. No event is lost, nothing stays stuck, no grant that lives is declared dead.
"""

import asyncio
import time
from collections import Counter
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import pytest

from common.contracts import TokenRefreshedV1
from common.runtime.ids import random_bytes
from common.testing import eventually
from devstack.browser import Browser, RefusedError
from devstack.chaos import (
    REFRESHED,
    Chaos,
    Databases,
    Ledger,
    all_ready,
    held_with_reason,
    imported,
    promises_kept,
    refused_for_rate,
)
from devstack.platforms import GENERIC
from devstack.record import Record, some
from devstack.services import SERVICES
from devstack.stack import Stack
from devstack.traffic import Traffic
from devstack.witness import persist

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORM_S = 10.0
GRANTS = 200
ACCESS_S = 16
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "rate_limit", "retry_after": 1, "rate": 0.05},
    {"kind": "status", "status": 503, "rate": 0.02},
    {"kind": "reset", "rate": 0.03},
    {"kind": "reset_after_answer", "rate": 0.01},
    {"kind": "slow", "delay_ms": 400, "rate": 0.2},
    {"kind": "html", "rate": 0.01},
)


async def test_any_service_killed_at_any_moment(stack: Stack, chaos: Chaos) -> None:
    since = await Ledger.written(stack)
    await stack.platforms.lifetimes("rfc6749", access_s=ACCESS_S)
    grants = await imported(stack, GRANTS)
    async with Traffic.flowing(stack.told(), chaos.chance) as traffic, LoginPressure(stack) as logins:
        for fault in FAULTS:
            await stack.platforms.order("POST", "/_sim/faults", {"provider": "rfc6749", "endpoint": "token", **fault})
        kills = await storm(stack, chaos, traffic)
        await stack.platforms.order("DELETE", "/_sim/faults")
        await stack.platforms.lifetimes("rfc6749", access_s=3600)
        await all_ready(stack)
        await traffic.stop()
        async with Databases.opened(stack) as databases:
            await eventually(lambda: nothing_stuck(databases), 90, what="every attempt settled, nothing overdue")
            before = await Ledger.read(stack, GENERIC, since)
            moment = await databases["oauth-svc"].fetchval("SELECT now()")
            await eventually(lambda: settled(databases, moment), 30, what="what was under way is settled")
        record = await promises_kept(stack, traffic)
    chaos.say(f"killed {dict(kills)}; accepted {traffic.accepted()}")
    assert kills["oauth-svc"] > 0
    async with Databases.opened(stack) as databases:
        lost = Counter((await held_with_reason(stack, databases)).values())
        chaos.say(f"answers lost: {dict(lost)}")
        await no_living_grant_is_dead(databases, chaos, grants)
        after = await Ledger.read(stack, GENERIC, since)
        await every_refresh_is_told(databases, before, after, record, grants)
    assert after.presented_twice == {}
    assert await refused_for_rate(stack) == {}
    await logins.within_the_budget()


async def storm(stack: Stack, chaos: Chaos, traffic: Traffic) -> "Counter[str]":
    """Kill one process after the other; the supervisor starts it again half a second later."""
    victims = [name for name in stack.supervisor.names() if name.partition("#")[0] in SERVICES]
    kills: Counter[str] = Counter()
    end = time.monotonic() + chaos.seconds(STORM_S)
    report_at = time.monotonic() + 15
    while time.monotonic() < end:
        await asyncio.sleep(chaos.chance.uniform(0.3, 1.5))
        victim = chaos.chance.choice(victims)
        kills[victim.partition("#")[0]] += stack.supervisor.kill(victim)
        if time.monotonic() > report_at:
            chaos.say(f"{kills.total()} kills, {traffic.count('accepted')} accepted")
            report_at += 15
    return kills


async def nothing_stuck(databases: Databases) -> bool:
    """Nothing open for longer than a platform may take, nothing due and unclaimed, no incident without a cause."""
    database = databases["oauth-svc"]
    attempts = await database.fetchval(
        """SELECT count(*) FROM refresh_attempt
           WHERE state IN ('sent', 'answered') AND started_at < now() - interval '8 s'"""
    )
    overdue = await database.fetchval(
        "SELECT count(*) FROM schedule WHERE refresh_at < now() - interval '8 s' AND leased_until < now()"
    )
    incidents = await database.fetchval("SELECT count(*) FROM provider_health WHERE state = 'open'")
    assert (attempts, overdue, incidents) == (0, 0, 0)
    return True


async def no_living_grant_is_dead(databases: Databases, chaos: Chaos, grants: list[str]) -> None:
    """What is not active lost an answer on the way, and says so (`held_with_reason` asks the platform whether it did).

    How many did is chance: a kill costs what was under way, and one answer in a hundred never leaves the platform.
    """
    rows = await databases["oauth-svc"].fetch(
        """SELECT c.status, c.last_failure, s.refresh_at FROM connection c JOIN schedule s USING (connection_id)
           WHERE c.subject = ANY($1::text[])""",
        grants,
    )
    states = Counter(row["status"] for row in rows)
    chaos.say(f"grants: {dict(states)}")
    assert states["revoked"] == 0
    unexplained = [
        dict(row)
        for row in rows
        if row["status"] != "active"
        and row["refresh_at"] is None
        and not (row["last_failure"] or "").startswith("unknown_outcome")
    ]
    assert not unexplained, some(unexplained)
    assert states["active"] > 0, "some are left to judge by"


async def settled(databases: Databases, moment: datetime) -> bool:
    """No attempt from before this moment is open any more."""
    return not await databases["oauth-svc"].fetchval(
        "SELECT count(*) FROM refresh_attempt WHERE state IN ('sent', 'answered') AND started_at <= $1", moment
    )


async def every_refresh_is_told(
    databases: Databases, before: Ledger, after: Ledger, record: Record, grants: list[str]
) -> None:
    """Each refresh that the platform granted is a `token.refreshed`, or an attempt that says it does not know.

    Refreshes go on while we look, so the platform was asked before and after what Kafka has was read.
    """
    rows = await databases["oauth-svc"].fetch(
        """SELECT c.connection_id, c.subject, count(a) FILTER (WHERE a.state = 'unknown') AS unknown
           FROM connection c LEFT JOIN refresh_attempt a USING (connection_id)
           WHERE c.subject = ANY($1::text[]) GROUP BY 1, 2""",
        grants,
    )
    first, last = (
        Counter(entry["grant"] for entry in ledger.entries if entry["outcome"] in REFRESHED)
        for ledger in (before, after)
    )
    told: Counter[UUID] = Counter(
        event.body.token.token_id for event in record.first if isinstance(event.body, TokenRefreshedV1)
    )
    wrong = []
    for row in rows:
        grant, known = row["subject"], told[row["connection_id"]]
        if not (known <= last[grant] and first[grant] <= known + row["unknown"]):
            wrong.append((grant, first[grant], known, row["unknown"], last[grant]))
    assert len(rows) == len(grants)
    assert not wrong, f"(grant, granted before, told, unknown, granted after): {some(wrong)}"
    assert sum(first[grant] for grant in grants) >= GRANTS


class LoginPressure:
    """A customer of Outbrain, which allows two logins an hour, whose token somebody keeps asking to renew."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._key = f"login-{random_bytes(4).hex()}"
        self._task: asyncio.Task[None] | None = None
        self._asked = 0

    async def __aenter__(self) -> Self:
        order = {"key": self._key, "name": "Lou Login", "email": f"{self._key}@northwind.example", "brand": "Northwind"}
        person = await self._stack.platforms.order("POST", "/_sim/people", {**order, "accounts": {"outbrain": 2}})
        self._browser = await Browser(self._stack.addresses.public_url).__aenter__()
        owner = next(user for user in self._stack.told()["users"] if user["role"] == "owner")
        await persist(lambda: self._browser.sign_in(owner["email"], owner["password"]), "the sign-in")
        form = {"username": person["email"], "password": person["password"]}
        await persist(lambda: self._browser.enter("outbrain", form), "the form of Outbrain")
        page = await persist(lambda: self._browser.get("/api/v1/connections", provider="outbrain"), "the connection")
        account = person["accounts"]["outbrain"][0]["id"]
        self._connection = next(
            each["connection_id"]
            for each in page["items"]
            if account in {one["external_id"] for one in each["accounts"]}
        )
        self._task = asyncio.create_task(self._press())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._browser.__aexit__(None, None, None)

    async def _press(self) -> None:
        while True:
            try:
                await self._browser.post(f"/api/v1/connections/{self._connection}/refresh")
                self._asked += 1
            except (RefusedError, OSError, TimeoutError):
                pass  # a replica was killed, or the budget is spent: the next one is asked
            await asyncio.sleep(0.2)

    async def within_the_budget(self) -> None:
        lines = (await Ledger.read(self._stack, "outbrain")).entries
        logins = [line for line in lines if line["operation"] == "login" and (line["grant"] or "").find(self._key) >= 0]
        assert self._asked > 0
        assert [line["outcome"] for line in logins] in (["issued"], ["issued", "issued"])
