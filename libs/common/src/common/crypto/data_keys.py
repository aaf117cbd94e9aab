"""The inner level: data keys, one or more per workspace, that seal the values themselves."""

from uuid import UUID

from common.crypto.keepers.interface import KeyEncryption
from common.crypto.sealed import KEY_BYTES, SealingKey, UnsealableError, read_head
from common.runtime.ids import random_bytes


class DataKey:
    """A data key in use: seals and opens, and is never shown."""

    __slots__ = ("_key", "id")

    def __init__(self, key_id: UUID, material: bytes) -> None:
        self.id = key_id
        self._key = SealingKey(key_id.bytes, material)

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return the blob, bound to `aad` (`associated_data` builds it)."""
        return self._key.seal(plaintext, aad)

    def open_(self, blob: bytes, aad: bytes) -> bytes:
        """Return the plaintext. Raises UnsealableError."""
        return self._key.open_(blob, aad)


def data_key_id(blob: bytes) -> UUID:
    """Return the data key that a sealed value names. Raises UnsealableError."""
    key_id = read_head(blob).key_id
    if len(key_id) != 16:  # noqa: PLR2004  bytes of a UUID
        raise UnsealableError
    return UUID(bytes=key_id)


def associated_data(*parts: str | int | UUID) -> bytes:
    """Parts (table, column, workspace, row id, row version) as bytes that no other list of parts gives."""
    encoded = [str(part).encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


async def create(kek: KeyEncryption, key_id: UUID, aad: bytes) -> tuple[DataKey, bytes]:
    """Return a new data key, and its wrapped form to be stored. Raises what `wrap` raises."""
    material = random_bytes(KEY_BYTES)
    return DataKey(key_id, material), await kek.wrap(material, aad)


async def rewrap(kek: KeyEncryption, wrapped: bytes, aad: bytes) -> bytes:
    """Return the same data key under the present key-encryption key. Raises what `unwrap` and `wrap` raise."""
    return await kek.wrap(await kek.unwrap(wrapped, aad), aad)
