"""Signatures of session states: the issuer signs what it says of a session's end with the key that signs its JWTs.

A signature is a JWS with detached content (RFC 7515, appendix F) in the attribute `ce_signature`. Its `typ` keeps it
apart from JWTs, and its content, which begins with the event's id, is no set of claims.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TYPE = "event+jws"
_ALGORITHM = "EdDSA"
_LONGEST = 1024


def sign_content(content: bytes, kid: str, private: Ed25519PrivateKey) -> str:
    """Return the signature of an event's content (`wevion_tokens.contracts.signed_content`)."""
    head = _encode(json.dumps({"alg": _ALGORITHM, "kid": kid, "typ": TYPE}, separators=(",", ":")).encode())
    return f"{head}..{_encode(private.sign(f'{head}.{_encode(content)}'.encode()))}"


def key_of(signature: str) -> str | None:
    """Return the id of the key that a signature names; None if it is none of ours."""
    head, dots, _ = signature[:_LONGEST].partition("..")
    try:
        header = json.loads(_decode(head)) if dots else None
    except ValueError:
        return None
    if not isinstance(header, dict) or (header.get("alg"), header.get("typ")) != (_ALGORITHM, TYPE):
        return None
    kid = header.get("kid")
    return kid if isinstance(kid, str) and "crit" not in header else None


def fits(signature: str, content: bytes, key: Ed25519PublicKey) -> bool:
    """Return whether the key made the signature of this content."""
    head, _, value = signature[:_LONGEST].partition("..")
    try:
        key.verify(_decode(value), f"{head}.{_encode(content)}".encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except NotBase64Error:
        raise ValueError("not base64url") from None
