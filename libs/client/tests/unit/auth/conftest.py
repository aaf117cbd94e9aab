"""An issuer whose tokens can be made wrong in every way."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wevion_tokens.auth import FixedKeys, RevocationSet, Verifier
from wevion_tokens.testing import ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
USER = UUID("019ab000-0000-7000-8000-000000000001")
SESSION = UUID("019ab000-0000-7000-8000-000000000002")
WORKSPACE = UUID("019ab000-0000-7000-8000-000000000003")


def b64(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Signs what it is told to."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kid: str = "k1"

    def user_claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": "https://wevion.test", "aud": "wevion", "sub": str(USER), "sid": str(SESSION), "wid": str(WORKSPACE),
            "jti": "j-1", "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600, "role": "owner", "epoch": 3,
        }  # fmt: skip
        return _changed(claims, changes)

    def service_claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": "https://wevion.test", "aud": "wevion", "sub": "rule-pauser", "client_id": "rule-pauser",
            "jti": "j-2", "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600,
            "scope": "tokens:read users:read",
        }  # fmt: skip
        return _changed(claims, changes)

    def user(self, **changes: Any) -> str:
        return self.sign(self.user_claims(**changes))

    def service(self, **changes: Any) -> str:
        return self.sign(self.service_claims(**changes))

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        return self.sign_raw({"alg": "EdDSA", "typ": "JWT", "kid": self.kid} | headers, claims)

    def sign_raw(self, header: Any, payload: Any) -> str:
        """Signed properly, whatever header and payload say."""
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(self.key.sign(signed.encode()))}"


def _changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (claims | changes).items() if value is not ...}


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def revocations() -> RevocationSet:
    return RevocationSet(complete=True)


@pytest.fixture
def keys(issuer: Issuer) -> FixedKeys:
    return FixedKeys({issuer.kid: issuer.key.public_key()})


@pytest.fixture
def at_noon() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def make_verifier(keys: FixedKeys, revocations: RevocationSet, at_noon: ManualClock) -> Callable[..., Verifier]:
    def make(**options: Any) -> Verifier:
        return Verifier(
            keys, revocations, "https://wevion.test", "wevion", clock=at_noon, public_url="https://app.test/", **options
        )

    return make


@pytest.fixture
def verifier(make_verifier: Callable[..., Verifier]) -> Verifier:
    return make_verifier()
