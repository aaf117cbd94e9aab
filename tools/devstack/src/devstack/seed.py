"""The demo workspace: connections in every state, with rules that work on their accounts.

Made once, through the doors that everybody has: the gateway, the platforms' consent screens, and for what happens at
a platform the simulator's control API. The states are then true, not painted: a token is expired because its
time passed, revoked because its platform said so.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from common.runtime.ids import new_id
from devstack.browser import Browser, RefusedError
from devstack.platforms import GENERIC, Platforms, simulated
from devstack.vault import Vault
from devstack.witness import NotObservedError, becomes, persist

State = Literal["active", "expiring", "expired", "revoked", "degraded"]

DAY_S = 86_400.0
PATIENCE_S = 40.0
OUTBRAIN_USER = "avery@northwind.example"
RULES = ("Pause ads that lose money", "Raise budgets of winners", "Stop at the daily cap", "Sunday night bids")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One connection of the demo workspace, and the state that it is brought into."""

    provider: str
    person: str
    state: State
    #: Lifetimes at the platform while it is connected.
    lifetimes: tuple[tuple[str, float], ...] = ()
    #: Why its platform ends it.
    cause: str = "user_revoked"
    rules: int = 0
    #: What is typed in where the platform has no consent screen; the simulator's people have these.
    entered: tuple[tuple[str, str], ...] = ()


CONNECTIONS = (
    Wanted("meta", "agency", "active", rules=4),
    Wanted("meta", "avery", "expiring", lifetimes=(("long_s", 5.2 * DAY_S),), rules=2),
    Wanted("meta", "jordan", "revoked", rules=2),
    Wanted(GENERIC, "avery", "degraded", rules=1),
    Wanted(GENERIC, "jordan", "expired", lifetimes=(("refresh_s", 6.0),), rules=2),
    Wanted("google-ads", "avery", "active", rules=1),
    Wanted("tiktok", "avery", "active"),
    Wanted("snapchat", "avery", "revoked", cause="platform_enforced", rules=1),
    Wanted("taboola", "avery", "active", entered=(("client_id", "taboola-avery"), ("client_secret", "secret-avery"))),
    Wanted("outbrain", "avery", "active", entered=(("username", OUTBRAIN_USER), ("password", "pw-avery-2026"))),
    Wanted("google-drive", "avery", "active"),
    Wanted("stripe", "avery", "revoked"),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the workspace has: how many connections per state, and how many rules."""

    states: dict[str, int]
    rules: int
    fresh: bool
    #: What did not work, in words: the workspace is useful without it.
    failed: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        return ", ".join(f"{count} {state}" for state, count in self.states.items())


async def ensure(
    owner: Browser, platforms: Platforms, vault: Vault, kept: Path, *, without: frozenset[str] = frozenset()
) -> Seeded:
    """Makes what this folder does not remember yet; brings back what a platform forgot when it was restarted.

    A connection that cannot be made is told in `failed` and tried again at the next start.

    Args:
        owner: is signed in.
        platforms: the simulator.
        vault: where what was made is remembered.
        kept: the file there.
        without: providers that are not the simulator's now.

    """
    done = _remembered(kept)
    fresh = [each for each in CONNECTIONS if _key(each) not in done and each.provider not in without]
    by_platform: dict[str, list[Wanted]] = defaultdict(list)
    for wanted in fresh:
        by_platform[wanted.provider].append(wanted)
    failed: list[str] = []

    async def make(several: Sequence[Wanted]) -> None:
        for wanted in several:
            try:
                connection = await _connect(owner, platforms, wanted)
                await _reaches(owner, connection, wanted)
            except (NotObservedError, RefusedError, RuntimeError) as exc:
                failed.append(f"{wanted.provider} of {wanted.person} is not {wanted.state}: {exc}")
            else:
                done[_key(wanted)] = connection

    # one platform's connections in turn, since its lifetimes are the platform's; the platforms side by side
    await asyncio.gather(*(make(several) for several in by_platform.values()))
    if fresh:
        vault.write(kept.name, json.dumps(done, indent=2))
    await _keep_degraded(platforms, done)
    there = [each for each in CONNECTIONS if _key(each) in done]
    states = Counter[str](each.state for each in there)
    return Seeded(dict(states), sum(each.rules for each in there), fresh=bool(fresh), failed=tuple(failed))


def _remembered(kept: Path) -> dict[str, str]:
    """Connection id by `_key`."""
    if not kept.exists():
        return {}
    found: dict[str, str] = json.loads(kept.read_text())
    return found


def _key(wanted: Wanted) -> str:
    return f"{wanted.provider} {wanted.person}"


async def _connect(owner: Browser, platforms: Platforms, wanted: Wanted) -> str:
    provider = simulated(wanted.provider)
    async with _lifetimes(platforms, provider, dict(wanted.lifetimes)):
        visit = (
            partial(owner.enter, wanted.provider, dict(wanted.entered))
            if wanted.entered
            else partial(owner.consent, wanted.provider, wanted.person)
        )
        back = await persist(visit, f"the consent at {wanted.provider}")
    connection = back.query.get("connection_id")
    if connection is None:
        raise NotObservedError(f"{wanted.provider} could not be connected: {back.query_string or back}")
    shown = await persist(partial(owner.get, f"/api/v1/connections/{connection}"), "the connection")
    accounts = [account["account_id"] for account in shown["accounts"]]
    for name in RULES[: wanted.rules]:
        body = {"name": f"{shown['title']}: {name}", "account_ids": accounts, "enabled": True, "revision": 1}
        await persist(partial(owner.call, "PUT", f"/api/v1/rules/{new_id()}", json=body), "a rule")
    if wanted.state == "revoked":
        await platforms.revoke(provider, wanted.person, cause=wanted.cause)
        if wanted.cause != "user_revoked":
            # not every ending is told by a platform: the next call finds it
            await persist(partial(_refresh, owner, connection), "the call that finds it")
    elif wanted.state == "degraded":
        await _fail_refreshes(platforms, provider, wanted.person)
        await persist(partial(_refresh, owner, connection), "a refresh that fails")
    return connection


async def _refresh(owner: Browser, connection: str) -> Any:
    return await owner.post(f"/api/v1/connections/{connection}/refresh")


async def _keep_degraded(platforms: Platforms, done: dict[str, str]) -> None:
    """The simulator forgets faults when it restarts; the demo workspace's trouble goes on."""
    for wanted in CONNECTIONS:
        if wanted.state == "degraded" and _key(wanted) in done:
            await _fail_refreshes(platforms, simulated(wanted.provider), wanted.person)


async def _fail_refreshes(platforms: Platforms, provider: str, person: str) -> None:
    grants = await platforms.order("GET", f"/_sim/grants?provider={provider}&person={person}&alive=1")
    standing = {fault["grant"] for fault in (await platforms.order("GET", "/_sim/faults"))["faults"]}
    for grant in grants["grants"]:
        if grant["id"] not in standing:
            fault = {
                "provider": provider,
                "endpoint": "token",
                "kind": "status",
                "status": 503,
                "when": "before",
                "grant": grant["id"],
            }
            await platforms.order("POST", "/_sim/faults", fault)


async def _reaches(owner: Browser, connection: str, wanted: Wanted) -> None:
    async def look() -> bool:
        shown = await owner.get(f"/api/v1/connections/{connection}")
        return bool(shown["status"] == wanted.state)

    await becomes(look, f"the {wanted.provider} connection of {wanted.person} {wanted.state}", PATIENCE_S)


@asynccontextmanager
async def _lifetimes(platforms: Platforms, provider: str, seconds: dict[str, float]) -> AsyncIterator[None]:
    if not seconds:
        yield
        return
    normal = await platforms.order("GET", f"/_sim/lifetimes/{provider}")
    await platforms.lifetimes(provider, **seconds)
    try:
        yield
    finally:
        await platforms.lifetimes(provider, **{name: normal[name] for name in seconds})
