"""Key-encryption keys of a keyring in this process: for development, small installations and tests of rotation."""

from common.crypto.keyring import Sealer


class KeyringEncryption:
    """By a keyring in this process."""

    def __init__(self, keyring: Sealer) -> None:
        self._keyring = keyring

    async def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        return self._keyring.seal(plaintext, aad)

    async def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        return self._keyring.open_(blob, aad)

    def key_id_of(self, blob: bytes) -> str:
        return self._keyring.key_id_of(blob)

    async def current_key_id(self) -> str:
        return self._keyring.active
