"""Data keys: re-wrapped without touching what they sealed."""

import pytest

from common.crypto import DataKey, Keyring, KeyringEncryption, UnsealableError, create, rewrap
from common.runtime.ids import new_id

AAD = b"workspace-1"


async def test_rotating_the_outer_key_leaves_the_values_alone() -> None:
    keyring = Keyring.generate("k1")
    old = KeyringEncryption(keyring)
    key, wrapped = await create(old, new_id(), AAD)
    blob = key.seal(b"a refresh token", b"row")
    new = KeyringEncryption(keyring.rotated("k2"))
    assert old.key_id_of(wrapped) != await new.current_key_id()
    again = await rewrap(new, wrapped, AAD)
    assert new.key_id_of(again) == await new.current_key_id() == "k2"
    unwrapped = DataKey(key.id, await new.unwrap(again, AAD))
    assert unwrapped.open_(blob, b"row") == b"a refresh token"
    with pytest.raises(UnsealableError):
        await rewrap(new, wrapped, b"another workspace")
