"""The RSA keys with which Google signs id tokens and security events, made when first needed, once per process."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


@cache
def _private(name: str) -> rsa.RSAPrivateKey:  # noqa: ARG001  one key per name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SigningKey:
    """A key by name. Two names may claim one `kid`: that is what a forgery looks like."""

    def __init__(self, name: str, kid: str) -> None:
        self._name, self.kid = name, kid

    @property
    def public_jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(_private(self._name).public_key()))
        return jwk | {"kid": self.kid, "alg": "RS256", "use": "sig"}

    def sign(self, claims: dict[str, Any], typ: str = "JWT") -> str:
        return jwt.encode(claims, _private(self._name), algorithm="RS256", headers={"kid": self.kid, "typ": typ})
