"""R7: both levels of keys rotate while two replicas refresh: every token stays readable and is presented once."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from common.crypto import Keyring, KeyringEncryption
from common.runtime import ids
from common.testing import eventually
from oauth_svc import store
from oauth_svc.operations import importing, keys
from oauth_svc.operations.engine.breaker import Breakers
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.vault import Vault

if TYPE_CHECKING:
    from tests.conftest import Stage

    from oauth_svc.operations.deps import Deps

PROVIDER = "rfc6749"
GRANTS = 120
WORKSPACES = 8
LATER = timedelta(hours=2)


def quiet(*_: int) -> None:
    """Progress that nobody reads."""


def process(stage: Stage, ring: Keyring) -> Deps:
    """What another process has: the database and the platform are shared, keys in memory are not."""
    return replace(stage.deps, vault=Vault(KeyringEncryption(ring)))


@dataclass
class Replica:
    """One process that refreshes what is due, until it is stopped."""

    engine: Engine
    work: asyncio.Task[None]

    async def stop(self) -> None:
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        self.engine.stop()
        await self.engine.drain(20)


def start(stage: Stage, ring: Keyring) -> Replica:
    deps = process(stage, ring)
    engine = Engine(deps, Breakers(deps))

    async def work() -> None:
        while True:
            await stage.make_due(PROVIDER)
            await engine.sweep()
            await engine.drain(20)

    return Replica(engine, asyncio.create_task(work()))


async def import_grants(stage: Stage, ring: Keyring) -> None:
    made = await stage.sim("POST", f"grants/{PROVIDER}", {"count": GRANTS})
    workspaces = [str(ids.new_id()) for _ in range(WORKSPACES)]
    lines = [
        json.dumps(
            {
                "provider": PROVIDER,
                "workspace_id": workspaces[number % WORKSPACES],
                "owner_user_id": workspaces[0],
                "external_user_id": grant["grant"],
                "accounts": [{"external_id": f"acc-{number}", "name": f"Account {number}"}],
                "access_token": grant["access_token"],
                "refresh_token": grant["refresh_token"],
                "access_expires_at": "2020-01-01T00:00:00Z",
            }
        )
        for number, grant in enumerate(made["grants"])
    ]
    done = await importing.load(process(stage, ring), io.StringIO("\n".join(lines)), quiet)
    assert done.made == GRANTS


def everyone_refreshed(stage: Stage) -> Callable[[], Awaitable[None]]:
    """Wait until each grant was refreshed once more than at the last call."""
    seen: dict[object, int] = {}

    async def wait() -> None:
        async def moved() -> bool:
            rows = await stage.pool.fetch("SELECT connection_id, generation FROM credential")
            now = {row["connection_id"]: row["generation"] for row in rows}
            if any(now[key] <= before for key, before in seen.items()):
                return False
            seen.update(now)
            return True

        await eventually(moved, timeout_s=60, what="every grant is refreshed again")

    return wait


@asynccontextmanager
async def replicas(stage: Stage, ring: Keyring) -> AsyncIterator[list[Replica]]:
    running = [start(stage, ring), start(stage, ring)]
    try:
        yield running
    finally:
        for one in running:
            await one.stop()


async def restart(stage: Stage, running: list[Replica], ring: Keyring) -> None:
    """One after the other, as a roll-out does."""
    for number, one in enumerate(running):
        await one.stop()
        running[number] = start(stage, ring)


async def judge(stage: Stage, ring: Keyring) -> None:
    """Every token opens with this ring alone, lives at the platform, and was presented once."""
    vault = process(stage, ring).vault
    async with stage.pool.acquire() as db:
        found = await store.credentials.get_many(
            db, [row["connection_id"] for row in await db.fetch("SELECT connection_id FROM connection")]
        )
        await vault.ready(db, stage.clock.now(), key_ids={row.key_id for row in found.values()})
    assert len(found) == GRANTS
    assert all(vault.open_credential(row).refresh_token for row in found.values())
    rows = await stage.pool.fetch("SELECT status, last_failure, count(*) AS n FROM connection GROUP BY 1, 2")
    assert [tuple(row) for row in rows] == [("active", None, GRANTS)]
    outcomes = await stage.pool.fetch("SELECT DISTINCT outcome FROM refresh_attempt WHERE outcome IS NOT NULL")
    assert {row["outcome"] for row in outcomes} == {"refreshed"}
    ledger = await stage.sim("GET", f"ledger?provider={PROVIDER}")
    assert ledger["presented_twice"] == {}


async def test_both_levels_rotate_under_load(stage: Stage) -> None:
    old = Keyring.generate("old")
    both = old.rotated("new")
    await import_grants(stage, old)
    refreshed = everyone_refreshed(stage)
    await refreshed()
    async with replicas(stage, old) as running:
        await refreshed()

        command = process(stage, old)
        assert await keys.rotate(command, None, quiet) == WORKSPACES
        inner = await keys.reencrypt(command, quiet)
        assert (inner.deleted, inner.retiring) == (0, WORKSPACES), "the other processes may still seal with them"
        await refreshed()

        await restart(stage, running, both)
        command = process(stage, both)
        outer = await keys.reencrypt(command, quiet)
        assert outer.rewrapped == 2 * WORKSPACES
        assert {use.kek_id for use in await keys.status(command)} == {"new"}
        await keys.rotate(command, None, quiet)
        await keys.reencrypt(command, quiet)
        await refreshed()

        await restart(stage, running, both.without("old"))
        await refreshed()
    only_new = both.without("old")
    stage.clock.advance(LATER)
    last = await keys.reencrypt(process(stage, only_new), quiet)
    assert (last.deleted, last.retiring) == (2 * WORKSPACES, 0)
    await judge(stage, only_new)


async def test_a_key_that_seals_only_a_kept_answer_is_not_retired(stage: Stage) -> None:
    """Killed after the answer was kept: its key stays until the answer is promoted."""
    ring = Keyring.generate()
    await import_grants(stage, ring)
    killed = Engine(process(stage, ring), Breakers(stage.deps))
    await stage.make_due(PROVIDER)
    provider = stage.deps.providers[PROVIDER]
    (claim,) = await killed.claims.due(provider.profile, 1, stage.clock.now())
    assert await killed.calls.begin(provider, claim)
    secrets = killed._deps.vault.open_credential(claim.credential)
    await killed.keeping.keep(claim, await provider.refresh(secrets, stage.clock.now()))

    command = process(stage, ring)
    await keys.rotate(command, None, quiet)
    stage.clock.advance(LATER)
    kept = await keys.reencrypt(command, quiet)
    assert (kept.deleted, kept.retiring) == (WORKSPACES - 1, 1)

    await stage.pool.execute("UPDATE schedule SET leased_until = now() - interval '1 second'")
    next_holder = start(stage, ring)
    await everyone_refreshed(stage)()

    async def promoted() -> bool:
        return bool(await stage.pool.fetchval("SELECT bool_and(state = 'promoted') FROM refresh_attempt"))

    await eventually(promoted, what="the kept answer is promoted")
    await next_holder.stop()
    freed = await keys.reencrypt(command, quiet)
    assert (freed.deleted, freed.retiring) == (1, 0)
    await judge(stage, ring)


async def test_a_workspace_whose_key_cannot_be_opened_stops_only_itself(stage: Stage) -> None:
    """A replica that was not given the new key-encryption key yet: it presents nothing that it could not keep."""
    old = Keyring.generate("old")
    await import_grants(stage, old)
    stranger = await stage.pool.fetchval("SELECT workspace_id FROM data_key ORDER BY workspace_id LIMIT 1")
    await keys.rotate(process(stage, old.rotated("new")), stranger, quiet)
    behind = process(stage, old)
    engine = Engine(behind, Breakers(behind))
    await stage.make_due(PROVIDER)
    while (await engine.sweep()).claimed:
        await engine.drain(20)
    rows = await stage.pool.fetch(
        """SELECT c.workspace_id = $1 AS theirs, c.last_failure, count(*) AS n FROM connection c GROUP BY 1, 2""",
        stranger,
    )
    assert {(row["theirs"], row["last_failure"], row["n"]) for row in rows} == {
        (True, "our_bug:no_data_key", GRANTS // WORKSPACES),
        (False, None, GRANTS - GRANTS // WORKSPACES),
    }
    asked = len((await stage.sim("GET", f"ledger?provider={PROVIDER}"))["entries"])
    assert asked == GRANTS - GRANTS // WORKSPACES, "theirs were not presented"
