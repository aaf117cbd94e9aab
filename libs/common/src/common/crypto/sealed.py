"""Sealed blobs: AES-256-GCM, and a head that names the format, the algorithm and the key.

    version (1 byte) | algorithm (1) | length of the key id (1) | key id | nonce (12) | ciphertext and tag (n + 16)

The head is authenticated with the caller's associated data, so no part of a blob can be exchanged. Nonces are random:
one key may seal up to 2**32 messages (NIST SP 800-38D, section 8.3), and is rotated long before.
"""

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.runtime.ids import random_bytes

VERSION = 1
AES_256_GCM = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
LONGEST_KEY_ID = 64

_FIXED = 3


class UnsealableError(Exception):
    """The blob cannot be opened: altered, for another place (associated data), or under a key that is not here.

    It does not say which, on purpose: whoever can feed us blobs must learn nothing from the answer.
    """

    def __init__(self) -> None:
        super().__init__("the sealed value cannot be opened")


class Head(NamedTuple):
    """What a blob says about itself. Nothing of it is trusted before the blob is opened."""

    algorithm: int
    key_id: bytes
    length: int


def read_head(blob: bytes) -> Head:
    """Return the head of a blob. Raises UnsealableError if it has none that this version knows."""
    if len(blob) < _FIXED or blob[0] != VERSION:
        raise UnsealableError
    length = _FIXED + blob[2]
    if not 0 < blob[2] <= LONGEST_KEY_ID or len(blob) < length:
        raise UnsealableError
    return Head(blob[1], bytes(blob[_FIXED:length]), length)


def make_head(algorithm: int, key_id: bytes) -> bytes:
    """Return the head for a key. Raises ValueError for an id that does not fit."""
    if not 0 < len(key_id) <= LONGEST_KEY_ID:
        raise ValueError("a key id has 1 to 64 bytes")
    return bytes((VERSION, algorithm, len(key_id))) + key_id


class SealingKey:
    """An AES-256 key with its id. The cipher is set up once."""

    __slots__ = ("_cipher", "_head", "key_id")

    def __init__(self, key_id: bytes, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("an AES-256 key has 32 bytes")
        self.key_id = key_id
        self._head = make_head(AES_256_GCM, key_id)
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return f"SealingKey({self.key_id!r})"

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt a plaintext. `aad` says whose value it is; the blob opens with the same `aad` only."""
        nonce = random_bytes(NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, plaintext, self._head + aad)

    def open_(self, blob: bytes, aad: bytes) -> bytes:
        """Return the plaintext. Raises UnsealableError."""
        start = len(self._head)
        if blob[:start] != self._head or len(blob) < start + NONCE_BYTES + TAG_BYTES:
            raise UnsealableError
        try:
            return self._cipher.decrypt(
                blob[start : start + NONCE_BYTES], blob[start + NONCE_BYTES :], self._head + aad
            )
        except InvalidTag:
            raise UnsealableError from None
