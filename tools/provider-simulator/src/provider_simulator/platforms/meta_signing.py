"""What Meta signs with the app secret, and what it wants signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any


def appsecret_proof(access_token: str, app_secret: str) -> str:
    """Hex HMAC-SHA256 of one access token, keyed with the app secret."""
    return hmac.new(app_secret.encode(), access_token.encode(), hashlib.sha256).hexdigest()


def signed_request(payload: dict[str, Any], app_secret: str) -> str:
    """base64url(signature).base64url(payload); the signature is over the encoded payload."""
    encoded = _base64url(json.dumps(payload).encode())
    signature = hmac.new(app_secret.encode(), encoded.encode(), hashlib.sha256).digest()
    return f"{_base64url(signature)}.{encoded}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
