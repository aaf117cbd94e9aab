"""Key-encryption keys in a file: for development, for small installations, and for tests of rotation.

    {"active": "2026-11", "keys": {"2026-11": "<32 bytes, base64>", "2026-05": "<32 bytes, base64>"}}

as JSON, or the same as TOML (`active = "…"` and a table `[keys]`). New values are sealed by the active key; all keys
open. To rotate: add a key, make it active when every process has it, re-wrap what names the old key, remove that one.
"""

import base64
import binascii
import itertools
import json
import os
import re
import stat
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from common.crypto.sealed import KEY_BYTES, SealingKey, UnsealableError, read_head
from common.runtime.ids import random_bytes
from common.telemetry.logs import get_logger

_log = get_logger(__name__)

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ROOT = 0
_LEAST_DIFFERENT_BYTES = 16
_MOST_EQUAL_BYTES = 8


class KeyringError(Exception):
    """The keyring cannot be used; says why, without any key material."""


def mode_refusal(mode: int, *, owner: int, reader: int) -> str | None:
    """Why a file of this mode and owner is open to too many to hold keys; None if it is not.

    PostgreSQL's rule for its server key: 0600 at most in a file of our own, and 0640 where root is the owner and we
    read it as one of its group, which is how orchestrators mount secrets.
    """
    if owner == _ROOT != reader:
        most, whom = 0o640, "its owner and group only, because root owns it"
    else:
        most, whom = 0o600, "its owner only"
    return f"mode is {mode:04o}; it must be {most:04o} at most, for {whom}" if mode & ~most & 0o777 else None


class Sealer(Protocol):
    """What seals with one key and opens with several: a keyring, in memory or in a file."""

    @property
    def active(self) -> str:
        """Return the id of the key that seals."""
        ...

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return the blob under the active key."""
        ...

    def open_(self, blob: bytes, aad: bytes) -> bytes:
        """Return the plaintext, with whichever key the blob names. Raises UnsealableError."""
        ...

    def key_id_of(self, blob: bytes) -> str:
        """Return the key that a blob names; for finding what is left to re-wrap."""
        ...


class Keyring:
    """Keys by id, of which one is active."""

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        if active not in keys:
            raise KeyringError(f"the active key {active!r} is not among the keys")
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise KeyringError(f"key id {key_id!r}: letters, digits, '.', '_' and '-' only, at most 64")
            if len(key) != KEY_BYTES:
                raise KeyringError(f"key {key_id!r} has {len(key)} bytes instead of {KEY_BYTES}")
            if (weakness := _weakness(key)) is not None:
                raise KeyringError(f"key {key_id!r} is {weakness}; make one with `openssl rand -base64 32`")
        if len(set(keys.values())) != len(keys):
            raise KeyringError("two ids have the same key")
        self.active = active
        self._material = dict(keys)
        self._keys = {key_id: SealingKey(key_id.encode(), key) for key_id, key in keys.items()}

    def __repr__(self) -> str:
        return f"Keyring(active={self.active!r}, ids={self.ids})"

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all keys."""
        return tuple(self._keys)

    @classmethod
    def generate(cls, key_id: str = "k1") -> "Keyring":
        """Return a new keyring with one new key."""
        return cls({key_id: random_bytes(KEY_BYTES)}, key_id)

    @classmethod
    def from_file(cls, path: Path | str) -> "Keyring":
        """Read a keyring. Raises KeyringError: unreadable, open to other users, or not a keyring."""
        path = Path(path)
        try:
            found = path.stat()
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyringError(f"{path}: cannot be read ({type(error).__name__})") from None
        if refusal := mode_refusal(stat.S_IMODE(found.st_mode), owner=found.st_uid, reader=os.geteuid()):
            raise KeyringError(f"{path}: {refusal}")
        try:
            document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
            return cls(_material(document), document["active"])
        except KeyringError as error:
            raise KeyringError(f"{path}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyringError(f"{path}: is not a keyring") from None

    def write(self, path: Path | str) -> None:
        """Write it as JSON, for its owner only, in one step: a crash leaves the old file or the new one."""
        path = Path(path)
        keys = {key_id: base64.b64encode(key).decode() for key_id, key in self._material.items()}
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"active": self.active, "keys": keys}, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def rotated(self, key_id: str) -> "Keyring":
        """Return the same keys and a new active one."""
        if key_id in self._material:
            raise KeyringError(f"there is a key {key_id!r} already")
        return Keyring({**self._material, key_id: random_bytes(KEY_BYTES)}, key_id)

    def without(self, key_id: str) -> "Keyring":
        """Without a key that nothing names any more."""
        if key_id == self.active:
            raise KeyringError(f"key {key_id!r} is active")
        return Keyring({name: key for name, key in self._material.items() if name != key_id}, self.active)

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return the blob under the active key."""
        return self._keys[self.active].seal(plaintext, aad)

    def open_(self, blob: bytes, aad: bytes) -> bytes:
        """Return the plaintext, with whichever key the blob names. Raises UnsealableError."""
        key = self._keys.get(read_head(blob).key_id.decode("ascii", "replace"))
        if key is None:
            raise UnsealableError
        return key.open_(blob, aad)

    def key_id_of(self, blob: bytes) -> str:
        """Return the key that a blob names; for finding what is left to re-wrap."""
        return read_head(blob).key_id.decode("ascii", "replace")


class KeyringFile:
    """The keyring of a file as the file is now: a key that is added, made active or removed needs no restart.

    A file that went away or became unusable changes nothing; the log says so once, and the last good keys go on.
    Raises KeyringError when the file is unusable at the start.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._seen = self._stamp()
        self._good = Keyring.from_file(self._path)

    @property
    def active(self) -> str:
        return self._now().active

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        return self._now().seal(plaintext, aad)

    def open_(self, blob: bytes, aad: bytes) -> bytes:
        return self._now().open_(blob, aad)

    def key_id_of(self, blob: bytes) -> str:
        return self._good.key_id_of(blob)

    def _now(self) -> Keyring:
        # Looked at before it is read: what changes in between is seen the next time.
        if (stamp := self._stamp()) == self._seen:
            return self._good
        self._seen = stamp
        try:
            self._good = Keyring.from_file(self._path)
        except KeyringError as error:
            _log.error("keyring_unusable", reason=str(error), kept=self._good.active)
        else:
            _log.info("keyring_changed", active=self._good.active, keys=self._good.ids)
        return self._good

    def _stamp(self) -> tuple[int, int, int] | None:
        """Differs when the file was replaced or rewritten, a link on the way to it too; None: it is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def _weakness(key: bytes) -> str | None:
    """Return why a key is none that a random generator would give; None when it may be one.

    A random key of 32 bytes has about 30 different ones; one with fewer than 16, with 8 equal ones, or with nothing but
    printable characters, comes by chance less than once in a billion.
    """
    if all(32 <= byte < 127 for byte in key):  # noqa: PLR2004  printable ASCII
        return "text and not random bytes"
    if len({(after - before) % 256 for before, after in itertools.pairwise(key)}) == 1:
        return "a sequence and not random"
    if len(set(key)) < _LEAST_DIFFERENT_BYTES or max(Counter(key).values()) >= _MOST_EQUAL_BYTES:
        return "a pattern and not random"
    return None


def _material(document: Any) -> dict[str, bytes]:
    found = {}
    for key_id, text in document["keys"].items():
        try:
            found[key_id] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise KeyringError(f"key {key_id!r} is not base64") from None
    return found
