"""What is read from a key set, and what is not."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wevion_tokens.auth import parse_jwks
from wevion_tokens.auth.keys import DEFAULT_TTL_S, LONGEST_TTL_S, SHORTEST_TTL_S, _ttl

KEY = Ed25519PrivateKey.generate().public_key()
JWK = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY)) | {"kid": "a", "use": "sig", "alg": "EdDSA"}


def test_signature_keys_are_read() -> None:
    found = parse_jwks(
        {"keys": [JWK, {key: value for key, value in JWK.items() if key in {"kty", "crv", "x"}} | {"kid": "b"}]}
    )
    assert list(found) == ["a", "b"]
    assert found["a"] == KEY


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"kty": "RSA"},
        {"crv": "X25519"},
        {"crv": "Ed448"},
        {"alg": "RS256"},
        {"kid": 5},
        {"kid": None},
        {"x": None},
    ],
)
def test_other_keys_are_left_aside(change: dict[str, Any]) -> None:
    assert parse_jwks({"keys": [JWK | change]}) == {}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": [JWK, JWK]},
        {"keys": [JWK | {"x": "AAAA"}]},
        {"keys": [JWK | {"x": "é"}]},
    ],
)
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jwks(document)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=60", 60),
        ("public, max-age=120, must-revalidate", 120),
        ('MAX-AGE="30"', 30),
        ("s-maxage=10", DEFAULT_TTL_S),
        ("", DEFAULT_TTL_S),
        ("max-age=junk", DEFAULT_TTL_S),
        ("max-age=0", SHORTEST_TTL_S),
        ("no-store", SHORTEST_TTL_S),
        ("no-cache, max-age=600", SHORTEST_TTL_S),
        ("max-age=999999999", LONGEST_TTL_S),
    ],
)
def test_how_long_it_may_be_kept(header: str, seconds: float) -> None:
    assert _ttl(header) == seconds
