"""RFC 7636: the proof that whoever exchanges a code is whoever asked for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def verifies(challenge: Sequence[str] | None, verifier: str | None) -> bool:
    """`challenge` is (method, value) as it came with the authorization request; None: there was none."""
    if challenge is None:
        return verifier is None
    method, value = challenge
    if verifier is None or VERIFIER.fullmatch(verifier) is None:
        return False
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    elif method != "plain":
        return False
    return hmac.compare_digest(verifier.encode(), value.encode())
