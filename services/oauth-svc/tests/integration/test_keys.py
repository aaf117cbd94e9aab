"""Sealing and key rotation: nothing opens elsewhere, nothing becomes unreadable, a key in use stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from common.crypto import Keyring, KeyringEncryption, UnsealableError
from oauth_svc import store
from oauth_svc.operations import keys
from oauth_svc.operations.vault import Vault

if TYPE_CHECKING:
    from tests.conftest import Stage


def quiet(*_: int) -> None:
    """Progress that nobody reads."""


async def test_swapped_rows_and_old_ciphertexts_do_not_open(stage: Stage) -> None:
    person = stage.person()
    await stage.connect(person, "meta")
    await stage.connect(person, "rfc6749")
    async with stage.pool.acquire() as db:
        ids = [row["connection_id"] for row in await db.fetch("SELECT connection_id FROM connection")]
        first, second = (await store.credentials.get_many(db, ids)).values()
    assert stage.deps.vault.open_credential(first).access_token
    await stage.pool.execute(
        "UPDATE credential SET sealed = $2 WHERE connection_id = $1", first.connection_id, second.sealed
    )
    async with stage.pool.acquire() as db:
        swapped = await store.credentials.get(db, first.connection_id)
    assert swapped is not None
    with pytest.raises(UnsealableError):
        stage.deps.vault.open_credential(swapped)
    await stage.pool.execute(
        "UPDATE credential SET sealed = $2, version = version + 1 WHERE connection_id = $1",
        first.connection_id,
        first.sealed,
    )
    async with stage.pool.acquire() as db:
        brought_back = await store.credentials.get(db, first.connection_id)
    assert brought_back is not None
    with pytest.raises(UnsealableError):
        stage.deps.vault.open_credential(brought_back)


async def test_data_key_rotation_while_refreshes_go_on(stage: Stage) -> None:
    people = [stage.person() for _ in range(4)]
    for person in people:
        await stage.connect(person, "rfc6749")
    assert await keys.rotate(stage.deps, None, quiet) == 4
    await stage.make_due("rfc6749")
    await stage.refresh_due()
    await stage.connect(people[0], "meta")
    found = await keys.reencrypt(stage.deps, quiet)
    assert found.deleted == 0, "a key that was replaced a moment ago may still be sealed with elsewhere"
    assert all(use.ciphertexts == 0 for use in await keys.status(stage.deps) if use.state == "retiring")
    stage.clock.advance(timedelta(hours=2))
    assert (await keys.reencrypt(stage.deps, quiet)).deleted == 4
    await stage.make_due("rfc6749")
    await stage.refresh_due()
    for person in people:
        assert {c["status"] for c in await stage.connections(person)} == {"active"}


async def test_a_key_in_use_is_not_retired(stage: Stage) -> None:
    await stage.connect(stage.person(), "meta")
    await keys.rotate(stage.deps, None, quiet)
    stage.clock.advance(timedelta(hours=2))
    async with stage.pool.acquire() as db:
        assert await store.keys.retire(db, stage.clock.now()) == (0, 1)


async def test_the_outer_key_rotates_without_touching_a_credential(stage: Stage) -> None:
    await stage.connect(stage.person(), "meta")
    ring = Keyring.generate("old")
    stage.deps.vault = Vault(KeyringEncryption(ring))
    await stage.pool.execute("DELETE FROM connection")
    await stage.pool.execute("DELETE FROM data_key")
    person = stage.person()
    await stage.connect(person, "meta")
    before = await stage.pool.fetchval("SELECT sealed FROM credential")
    both = ring.rotated("new")
    stage.deps.vault = Vault(KeyringEncryption(both))
    assert (await keys.reencrypt(stage.deps, quiet)).rewrapped == 1
    assert await stage.pool.fetchval("SELECT sealed FROM credential") == before
    assert await stage.pool.fetchval("SELECT kek_id FROM data_key") == "new"
    stage.deps.vault = Vault(KeyringEncryption(both.without("old")))
    await stage.make_due()
    await stage.refresh_due()
    assert (await stage.connection(person))["status"] == "active"
