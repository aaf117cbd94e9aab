"""Lists in pages: `limit`, `cursor`, `next_cursor`.

A cursor names the place after the last item, by its sort keys. It is opaque, bound to one list (and its filters) by a
checksum, and refused clearly when it is altered or belongs elsewhere. It is not a secret and grants nothing.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from common.web.problems import Problem, invalid_field

T = TypeVar("T")
Key = str | int | datetime | UUID | None

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_LONGEST_CURSOR = 1_024
_CHECKSUM_BYTES = 6


class Page(BaseModel, Generic[T]):
    """One page of a list. The last page has no `next_cursor`."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="give it as `cursor` to get what follows")


class PageQuery(BaseModel):
    """The query of a paged list; inherit from it to add filters."""

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="at most so many items")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before"
    )


def encode_cursor(listing: str, keys: Sequence[Key]) -> str:
    """Return the cursor after the item with these sort keys. `listing` names the list and its filters."""
    body = json.dumps([_pack(key) for key in keys], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(listing, body) + body).rstrip(b"=").decode()


def decode_cursor(listing: str, cursor: str | None, kinds: Sequence[type]) -> tuple[Any, ...] | None:
    """Return the sort keys in a cursor, of exactly these types; None for None. Raises a Problem `invalid_cursor`."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if len(cursor) > _LONGEST_CURSOR or checksum != _checksum(listing, body):
            raise _refusal()
        keys = tuple(_unpack(item) for item in json.loads(body))
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        raise _refusal() from None
    if len(keys) != len(kinds) or any(
        key is not None and type(key) is not kind for key, kind in zip(keys, kinds, strict=True)
    ):
        raise _refusal()
    return keys


def _refusal() -> Problem:
    problem = invalid_field(
        "cursor", "invalid_cursor", "is not a cursor of this list; start again without one", place="query"
    )
    problem.code = "invalid_cursor"
    return problem


def _checksum(listing: str, body: bytes) -> bytes:
    return blake2s(body, digest_size=_CHECKSUM_BYTES, key=blake2s(listing.encode()).digest()).digest()


def _pack(key: Key) -> Any:
    if isinstance(key, datetime):
        if key.tzinfo is None:
            raise ValueError("a cursor's time needs its zone")
        return {"t": key.astimezone(UTC).isoformat()}
    if isinstance(key, UUID):
        return {"u": key.hex}
    return key


def _unpack(item: Any) -> Key:
    if isinstance(item, dict):
        return datetime.fromisoformat(item["t"]) if "t" in item else UUID(hex=item["u"])
    if item is None or type(item) in {str, int}:
        found: str | int | None = item
        return found
    raise TypeError("not a key")
