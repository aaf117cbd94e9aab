"""The one source of ids and randomness."""

import base64
import secrets
from uuid import UUID

from uuid_utils import compat


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, section 5.7): its order is the order of creation, which indexes like."""
    return compat.uuid7()


def random_bytes(count: int) -> bytes:
    """`count` bytes from the operating system's generator."""
    return secrets.token_bytes(count)


def random_token(nbytes: int = 32) -> str:
    """Return an unguessable value as base64url without padding; 32 bytes give 43 characters."""
    return base64.urlsafe_b64encode(random_bytes(nbytes)).rstrip(b"=").decode()
