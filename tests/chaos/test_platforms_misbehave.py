"""R3: every platform misbehaves, in each way in turn, while replicas of oauth-svc are killed.

429 storms, 5xx, hangs, resets before and after the answer, slow answers, HTML, half answers, a clock off by ten
minutes: no grant that lives is declared dead, no platform is asked more often than it allows, and when the faults are
lifted everything recovers; only a refresh token that the platform replaced in an answer that never arrived stays lost,
and says so.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

import pytest

from common.contracts import Event, TokenExpiredV1, TokenRevokedV1, TokenStateV1, TokenStatus
from common.runtime.ids import random_bytes
from common.testing import eventually
from devstack.browser import Browser
from devstack.chaos import (
    Chaos,
    Databases,
    Ledger,
    all_ready,
    held_with_reason,
    imported,
    make_due,
    promises_kept,
    refused_for_rate,
)
from devstack.platforms import GENERIC
from devstack.record import Record, some
from devstack.stack import Stack
from devstack.witness import persist

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: How long each fault stands.
FAULT_S = 1.0
KILLED_AT_EACH_LOOK = 0.4
GRANTS = 40
PEOPLE = 2
CONSENTS = ("meta", "google-ads", "tiktok", "snapchat", GENERIC)
ACCOUNTS = {
    "meta": 2,
    "google": 0,
    "google-ads": 2,
    "tiktok": 2,
    "snapchat": 2,
    "taboola": 2,
    "outbrain": 2,
    "rfc6749": 2,
}
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "rate_limit", "retry_after": 1},
    {"kind": "status", "status": 503, "when": "before"},
    {"kind": "status", "status": 500, "rate": 0.05},
    {"kind": "hang", "rate": 0.5},
    {"kind": "reset", "rate": 0.7},
    {"kind": "reset_after_answer", "rate": 0.05},
    {"kind": "slow", "delay_ms": 500},
    {"kind": "html", "when": "before"},
    {"kind": "html", "rate": 0.05},
    {"kind": "malformed", "rate": 0.05},
    {"kind": "clock_skew", "skew_s": 600},
    {"kind": "clock_skew", "skew_s": -600},
)
RECOVERED_WITHIN_S = 60.0
#: Outbrain's.
LOGINS_AN_HOUR = 2


async def test_no_living_grant_is_declared_dead(stack: Stack, chaos: Chaos) -> None:
    since = await Ledger.written(stack)
    subjects = await connected(stack)
    async with Databases.opened(stack) as databases:
        end = time.monotonic() + chaos.seconds(0)
        kills = 0
        while True:
            subjects += await imported(stack, GRANTS)  # anew in each round: some answers are lost for good
            mine = await connections(databases, subjects)
            chaos.say(f"{len(mine)} connections: {dict(Counter(row['provider'] for row in mine))}")
            ids = [row["connection_id"] for row in mine]
            for fault in chaos.chance.sample(FAULTS, len(FAULTS)):
                await stack.platforms.order("POST", "/_sim/faults", {"provider": "*", **fault})
                kills += await under_pressure(stack, chaos, databases, ids)
                await stack.platforms.order("DELETE", "/_sim/faults")
                states = Counter(row["status"] for row in await connections(databases, subjects))
                chaos.say(f"{fault['kind']}: {dict(states)}")
            if time.monotonic() > end:
                break

        chaos.say(f"{kills} kills")
        await all_ready(stack)

        async def asked_again() -> bool:
            # A back-off of minutes is right after so many failures; it is passed here, as "retry now" passes it.
            waiting = [
                row["connection_id"] for row in await connections(databases, subjects) if row["status"] != "active"
            ]
            await make_due(databases, waiting)
            return await recovered(databases, subjects)

        await eventually(asked_again, RECOVERED_WITHIN_S, what="everything is well again")
    record = await promises_kept(stack)
    async with Databases.opened(stack) as databases:
        lost = await held_with_reason(stack, databases)
    assert not (dead := declared_dead(record, set(ids), set(lost))), some(dead)
    assert (await Ledger.read(stack, GENERIC, since)).presented_twice == {}
    assert await refused_for_rate(stack) == {}
    logins = (await Ledger.read(stack, "outbrain", since)).entries
    assert not [line for line in logins if line["outcome"] == "refused:rate_limited" and line["fault"] is None]


def declared_dead(record: Record, ids: AbstractSet[UUID], lost: AbstractSet[UUID]) -> list[Event[Any]]:
    """What says that one of these grants is over.

    An answer that was lost held the only refresh token, so that grant may run out with its access token; but nobody
    ended it.
    """
    return [
        event
        for event in record.first
        if isinstance(event.body, TokenRevokedV1 | TokenExpiredV1 | TokenStateV1)
        and (token_id := event.body.token.token_id) in ids
        and over(event.body)
        and (token_id not in lost or over(event.body) is TokenStatus.REVOKED)
    ]


def over(body: TokenRevokedV1 | TokenExpiredV1 | TokenStateV1) -> TokenStatus | None:
    match body:
        case TokenRevokedV1():
            return TokenStatus.REVOKED
        case TokenExpiredV1():
            return TokenStatus.EXPIRED
        case _:
            return body.status if body.status in {TokenStatus.REVOKED, TokenStatus.EXPIRED} else None


async def connected(stack: Stack) -> list[str]:
    """People who connect every platform as people do; the ids by which the platforms know them."""
    owner = next(user for user in stack.told()["users"] if user["role"] == "owner")
    external: list[str] = []
    async with Browser(stack.addresses.public_url) as browser:
        await persist(lambda: browser.sign_in(owner["email"], owner["password"]), "the sign-in")
        for _ in range(PEOPLE):
            key = f"bad-day-{random_bytes(4).hex()}"
            order = {"key": key, "name": "Bo Day", "email": f"{key}@northwind.example", "brand": "Northwind"}
            person = await stack.platforms.order("POST", "/_sim/people", {**order, "accounts": ACCOUNTS})
            for provider in CONSENTS:
                await browser.consent(provider, key)
            await browser.enter("outbrain", {"username": person["email"], "password": person["password"]})
            await browser.enter("taboola", {"client_id": f"taboola-{key}", "client_secret": f"secret-{key}"})
            external += [account["id"] for accounts in person["accounts"].values() for account in accounts]
    async with Databases.opened(stack) as databases:
        rows = await databases["oauth-svc"].fetch(
            """SELECT DISTINCT c.subject FROM connection c JOIN account a USING (connection_id)
               WHERE a.external_id = ANY($1::text[]) AND c.status = 'active'""",
            external,
        )
    return [row["subject"] for row in rows]


async def connections(databases: Databases, subjects: list[str]) -> list[Any]:
    return await databases["oauth-svc"].fetch(
        """SELECT connection_id, provider, subject, status, last_failure, refresh_at,
             (SELECT count(*) FROM login_budget b WHERE (b.provider, b.subject) = (c.provider, c.subject)) AS logins
           FROM connection c JOIN schedule USING (connection_id, provider) WHERE subject = ANY($1::text[])""",
        subjects,
    )


async def under_pressure(stack: Stack, chaos: Chaos, databases: Databases, ids: list[Any]) -> int:
    """Everything is due, and due again as soon as it is done: refreshes and probes alike. How many were killed."""
    replicas = [name for name in stack.supervisor.names() if name.partition("#")[0] == "oauth-svc"]
    kills = 0
    end = time.monotonic() + (FAULT_S if not chaos.minutes else 5 * FAULT_S)
    while time.monotonic() < end:
        await make_due(databases, ids)
        await asyncio.sleep(0.5)
        if chaos.chance.random() < KILLED_AT_EACH_LOOK:
            kills += stack.supervisor.kill(chaos.chance.choice(replicas))
    return kills


async def recovered(databases: Databases, subjects: list[str]) -> bool:
    """Active all of them, but for what may not be asked again now; no incident stands.

    Which is one whose answer was lost (that one was, the platform's ledger says: `promises_kept` looks it up for all of
    them together), and one at a platform that allows two logins an hour, when both were used up by the faults.
    """
    for row in await connections(databases, subjects):
        held = row["refresh_at"] is None and (row["last_failure"] or "").startswith("unknown_outcome")
        resting = row["status"] == "degraded" and row["logins"] == LOGINS_AN_HOUR
        assert row["status"] == "active" or held or resting, dict(row)
    incidents = await databases["oauth-svc"].fetchval("SELECT count(*) FROM provider_health WHERE state = 'open'")
    assert incidents == 0
    return True
