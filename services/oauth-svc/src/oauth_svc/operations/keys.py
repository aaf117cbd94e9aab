"""Key rotation at both levels, online: anything may be killed anywhere and started again.

The outer level (key-encryption key): the keyring or Vault gets a new key; `reencrypt` wraps every data key anew and
touches no credential. The inner level (data key): `rotate` gives workspaces a new one, `reencrypt` seals every
credential anew, raising its version, and keys that seal nothing any more are deleted. A key in use is never deleted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from common.postgres import connection, transaction
from oauth_svc import metrics, store
from oauth_svc.operations.deps import Deps
from oauth_svc.store.keys import KeyUse

BATCH = 200
SETTLE = timedelta(hours=1)
"""A replaced key is kept this long: other processes may seal with it for a minute, and consents under way name it."""


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What one run did, and what still needs the old keys."""

    rewrapped: int
    resealed: int
    deleted: int
    retiring: int


async def status(deps: Deps) -> list[KeyUse]:
    async with connection(deps.pool) as db:
        return await store.keys.usage(db)


async def rotate(deps: Deps, workspace_id: UUID | None, progress: Callable[[int], None]) -> int:
    """Return a new active data key for one workspace, or for all of them; how many."""
    done = 0
    after: UUID | None = None
    while True:
        async with connection(deps.pool) as db:
            batch = [workspace_id] if workspace_id else await store.keys.workspaces(db, after, BATCH)
        for workspace in batch:
            row, _ = await deps.vault.make_key(workspace)
            async with transaction(deps.pool) as db:
                await store.keys.replace_active(db, row, deps.clock.now())
            done += 1
        deps.vault.forget_active()
        progress(done)
        if workspace_id or len(batch) < BATCH:
            return done
        after = batch[-1]


async def reencrypt(deps: Deps, progress: Callable[[int, int], None]) -> Reencrypted:
    """Bring everything under the present keys; `progress` is told what is done and what is left."""
    rewrapped = await _rewrap(deps)
    resealed = 0
    while True:
        async with connection(deps.pool) as db:
            batch = await store.keys.to_reencrypt(db, BATCH)
            left = await store.keys.left_to_reencrypt(db)
        if not batch:
            break
        await _reseal(deps, batch)
        resealed += len(batch)
        progress(resealed, left - len(batch))
    async with transaction(deps.pool) as db:
        deleted, kept = await store.keys.retire(db, deps.clock.now() - SETTLE)
    return Reencrypted(rewrapped, resealed, deleted, kept)


async def count(deps: Deps) -> None:
    """Refresh the gauge of ciphertexts by key."""
    metrics.CIPHERTEXTS.clear()
    for use in await status(deps):
        metrics.CIPHERTEXTS.labels(use.kek_id, use.state).set(use.ciphertexts)


async def _rewrap(deps: Deps) -> int:
    current = await deps.vault.current_kek()
    done = 0
    while True:
        async with connection(deps.pool) as db:
            batch = await store.keys.under_other_kek(db, current, BATCH)
        if not batch:
            return done
        for old in batch:
            new = await deps.vault.rewrapped(old)
            async with connection(deps.pool) as db:
                await store.keys.rewrap(db, old, new)
        done += len(batch)


async def _reseal(deps: Deps, connection_ids: list[UUID]) -> None:
    now = deps.clock.now()
    async with transaction(deps.pool) as db:
        await store.keys.lock_credentials(db, connection_ids)
        rows = await store.credentials.get_many(db, connection_ids)
        await deps.vault.ready(
            db,
            now,
            workspaces={row.workspace_id for row in rows.values()},
            key_ids={row.key_id for row in rows.values()},
        )
        await store.credentials.put(
            db,
            [
                deps.vault.seal_credential(
                    row.connection_id,
                    row.workspace_id,
                    deps.vault.open_credential(row),
                    version=row.version + 1,
                    generation=row.generation,
                    issued_at=row.issued_at,
                )
                for row in rows.values()
            ],
        )
