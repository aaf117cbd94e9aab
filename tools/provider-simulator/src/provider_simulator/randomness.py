"""The one source of ids, tokens and chance: the same seed and the same requests give the same answers."""

from __future__ import annotations

import base64
import random

_ALNUM = bytes.maketrans(b"-_", b"xq")


class Randomness:
    def __init__(self, seed: int, boot: int = 0) -> None:
        # A later boot on the same state must not repeat the tokens of the first one.
        self._random = random.Random(f"{seed}/{boot}")  # noqa: S311  repeatable is what is wanted here

    def token(self, prefix: str = "", nbytes: int = 30) -> str:
        """Letters and digits only; 4 characters for each 3 bytes."""
        raw = base64.urlsafe_b64encode(self._random.randbytes(nbytes))
        return prefix + raw.translate(_ALNUM).decode().rstrip("=")

    def digits(self, length: int) -> str:
        return str(self._random.randrange(10 ** (length - 1), 10**length))

    def hex(self, length: int) -> str:
        return f"{self._random.getrandbits(length * 4):0{length}x}"

    def chance(self, rate: float) -> bool:
        return rate >= 1.0 or self._random.random() < rate
