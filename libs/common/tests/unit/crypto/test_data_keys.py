"""Data keys: unwrapped once, kept for a time, re-wrapped without touching what they sealed."""

import asyncio
from uuid import UUID

import pytest

from common.crypto import DataKeys, Keyring, KeyringEncryption, UnsealableError, create, rewrap
from common.crypto.encryption import KeyEncryption
from common.runtime.ids import new_id

AAD = b"workspace-1"


class Counting:
    """A key service that counts, and answers when it is let."""

    def __init__(self, inner: KeyEncryption) -> None:
        self.inner = inner
        self.unwraps = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        return await self.inner.wrap(plaintext, aad)

    async def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        self.unwraps += 1
        await self.gate.wait()
        return await self.inner.unwrap(blob, aad)

    def key_id_of(self, blob: bytes) -> str:
        return self.inner.key_id_of(blob)

    async def current_key_id(self) -> str:
        return await self.inner.current_key_id()


@pytest.fixture
def kek() -> Counting:
    return Counting(KeyringEncryption(Keyring.generate("k1")))


@pytest.fixture
def stored() -> dict[UUID, bytes]:
    return {}


@pytest.fixture
def keys(kek: Counting, stored: dict[UUID, bytes]) -> DataKeys:
    async def load(key_id: UUID) -> tuple[bytes, bytes]:
        return stored[key_id], AAD

    return DataKeys(kek, load, capacity=3)


async def test_unwrapped_once_for_everybody(keys: DataKeys, kek: Counting, stored: dict[UUID, bytes]) -> None:
    key, stored[key.id] = await create(kek, new_id(), AAD)
    blob = key.seal(b"x", b"")
    kek.gate.clear()
    waiting = [asyncio.create_task(keys.get(key.id)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    kek.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert {each.open_(blob, b"") for each in found} == {b"x"}
    await keys.get(key.id)
    assert kek.unwraps == 1


async def test_the_cache_is_bounded_and_can_forget(keys: DataKeys, kek: Counting, stored: dict[UUID, bytes]) -> None:
    made = []
    for _ in range(5):
        key, stored[key.id] = await create(kek, new_id(), AAD)
        made.append(key.id)
        await keys.get(key.id)
    await keys.get(made[4])
    assert kek.unwraps == 5
    await keys.get(made[0])
    assert kek.unwraps == 6
    keys.forget(made[0])
    await keys.get(made[0])
    assert kek.unwraps == 7


async def test_a_key_is_kept_for_its_time_only(kek: Counting, stored: dict[UUID, bytes]) -> None:
    async def load(key_id: UUID) -> tuple[bytes, bytes]:
        return stored[key_id], AAD

    keys = DataKeys(kek, load, keep_s=0)
    key, stored[key.id] = await create(kek, new_id(), AAD)
    keys.add(key)
    await keys.get(key.id)
    await keys.get(key.id)
    assert kek.unwraps == 2


async def test_failures_are_not_remembered(keys: DataKeys, kek: Counting, stored: dict[UUID, bytes]) -> None:
    key_id = new_id()
    with pytest.raises(LookupError):
        await keys.get(key_id)
    _, stored[key_id] = await create(kek, key_id, b"another workspace")
    with pytest.raises(UnsealableError):
        await keys.get(key_id)
    _, stored[key_id] = await create(kek, key_id, AAD)
    assert (await keys.get(key_id)).id == key_id


async def test_rotating_the_outer_key_leaves_the_values_alone() -> None:
    keyring = Keyring.generate("k1")
    old = KeyringEncryption(keyring)
    key, wrapped = await create(old, new_id(), AAD)
    blob = key.seal(b"a refresh token", b"row")
    new = KeyringEncryption(keyring.rotated("k2"))
    assert old.key_id_of(wrapped) != await new.current_key_id()
    again = await rewrap(new, wrapped, AAD)
    assert new.key_id_of(again) == await new.current_key_id() == "k2"

    async def load(_: UUID) -> tuple[bytes, bytes]:
        return again, AAD

    assert (await DataKeys(new, load).get(key.id)).open_(blob, b"row") == b"a refresh token"
    with pytest.raises(UnsealableError):
        await rewrap(new, wrapped, b"another workspace")
