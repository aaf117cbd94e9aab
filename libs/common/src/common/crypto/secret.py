"""A value that cannot be shown by accident."""

import hmac
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

S = TypeVar("S", str, bytes)

HIDDEN = "**********"


class Secret(Generic[S]):
    """Holds a secret text or bytes. `reveal` is the only way out: repr, str, format, JSON and pickle do not show it.

    In a pydantic model, `Secret[str]` is read from a string and written as asterisks.
    """

    __slots__ = ("_value",)

    def __init__(self, value: S) -> None:
        self._value: S = value

    def reveal(self) -> S:
        """The value. Keep it in a local variable, briefly."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        """Compared in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = _bytes(self._value), _bytes(other._value)
        return type(self._value) is type(other._value) and hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kind = (getattr(source, "__args__", None) or (str,))[0]
        inner = core_schema.bytes_schema() if kind is bytes else core_schema.str_schema()
        from_value = core_schema.no_info_after_validator_function(cls, inner)
        return core_schema.json_or_python_schema(
            json_schema=from_value,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_value]),
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
