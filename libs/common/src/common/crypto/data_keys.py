"""The inner level: data keys, one or more per workspace, that seal the values themselves."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from uuid import UUID

from common.crypto.encryption import KeyEncryption
from common.crypto.sealed import KEY_BYTES, SealingKey, UnsealableError, read_head
from common.runtime.clock import monotonic
from common.runtime.ids import random_bytes

CACHED_KEYS = 4_096
KEEP_S = 600.0  # how long an unwrapped key stays in memory; also the longest delay until a withdrawn one is unusable


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


class DataKeys:
    """Unwrapped data keys: bounded in number and time, one unwrapping at a time for each.

    `load` gives a key's wrapped form and the associated data that it was wrapped with; it raises LookupError when
    there is no such key.
    """

    def __init__(
        self,
        kek: KeyEncryption,
        load: Callable[[UUID], Awaitable[tuple[bytes, bytes]]],
        *,
        capacity: int = CACHED_KEYS,
        keep_s: float = KEEP_S,
    ) -> None:
        self._kek = kek
        self._load = load
        self._capacity = capacity
        self._keep_s = keep_s
        self._known: OrderedDict[UUID, tuple[DataKey, float]] = OrderedDict()
        self._loading: dict[UUID, asyncio.Task[DataKey]] = {}

    async def get(self, key_id: UUID) -> DataKey:
        """Return the key. Raises LookupError, UnsealableError, RetryableError."""
        known = self._known.get(key_id)
        if known is not None and known[1] > monotonic():
            self._known.move_to_end(key_id)
            return known[0]
        task = self._loading.get(key_id)
        if task is None:
            task = self._loading[key_id] = asyncio.create_task(self._unwrap(key_id))
            task.add_done_callback(lambda done: self._loaded(key_id, done))
        return await asyncio.shield(task)

    def add(self, key: DataKey) -> None:
        """Remember a key that was just made."""
        self._known[key.id] = (key, monotonic() + self._keep_s)
        self._known.move_to_end(key.id)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def forget(self, key_id: UUID) -> None:
        """Drop a key that was withdrawn."""
        self._known.pop(key_id, None)

    async def _unwrap(self, key_id: UUID) -> DataKey:
        wrapped, aad = await self._load(key_id)
        key = DataKey(key_id, await self._kek.unwrap(wrapped, aad))
        self.add(key)
        return key

    def _loaded(self, key_id: UUID, task: "asyncio.Task[DataKey]") -> None:
        self._loading.pop(key_id, None)
        if not task.cancelled():
            task.exception()  # seen: whoever waited gets it, and nobody may be waiting any more
