"""What every keeper of key-encryption keys does."""

from typing import Protocol


class KeyEncryption(Protocol):
    """Wraps and unwraps data keys."""

    async def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return a blob that names the key it is under. Raises RetryableError, PermanentError."""
        ...

    async def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return what was wrapped. Raises UnsealableError; RetryableError when the key's keeper is away."""
        ...

    def key_id_of(self, blob: bytes) -> str:
        """Return the key (and its version) that a blob is under."""
        ...

    async def current_key_id(self) -> str:
        """Return the key that `wrap` uses now; a blob under another one is due to be re-wrapped."""
        ...
