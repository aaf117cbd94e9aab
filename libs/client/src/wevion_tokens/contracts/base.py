"""The base of every event body: what all of them promise."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict


def _require_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its UTC offset, such as 2026-01-31T09:00:00Z")
    return value.astimezone(UTC)


FIRST_YEAR, LAST_YEAR, LAST_DEADLINE_YEAR = 2000, 2099, 2999
MAX_COUNT = 2**31 - 1
"""The highest version or epoch: more changes than any token can have, and what a database's integer holds."""


def _require_fact(value: datetime) -> datetime:
    value = _require_utc(value)
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"a fact lies in the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


def _require_deadline(value: datetime) -> datetime:
    value = _require_utc(value)
    if not FIRST_YEAR <= value.year <= LAST_DEADLINE_YEAR:
        raise ValueError(f"a time lies in the years {FIRST_YEAR} to {LAST_DEADLINE_YEAR}")
    return value


UtcDatetime = Annotated[datetime, AfterValidator(_require_deadline)]
"""A point in time with an offset, kept in UTC; a platform's deadline may be far away, but one can still count with it.
A naive time is refused."""
FactTime = Annotated[datetime, AfterValidator(_require_fact)]
"""When something happened. Years that no clock shows are refused: one such record must not stop whoever reads it."""


class Part(BaseModel):
    """A value inside an event body. Frozen; fields that a newer minor version added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class EventBody(Part):
    """The body of one event: a fact in the past tense, complete in itself, free of secrets and addresses.

    A subclass declares `TYPE` (`wevion.<topic>.v<major>`) and `TOPIC`. Required fields are only ever added
    with a new major version; optional fields may be added at any time.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]

    def subject(self) -> str:
        """The id of what the event is about. It is the Kafka key, so it decides what stays in order."""
        raise TypeError(f"{type(self).__name__} does not say what it is about")

    def aggregate_version(self) -> int:
        """Return the version of the subject at the time of the fact; a consumer drops what is not newer."""
        raise TypeError(f"{type(self).__name__} does not say its version")


EVENT_TYPES: dict[str, type[EventBody]] = {}
"""Every event type by its name on the wire."""

B = TypeVar("B", bound=EventBody)


def event(topic: str, major: int = 1) -> Any:
    """Declare a body as the event type `wevion.<topic>.v<major>` on `topic`."""

    def declare(cls: type[B]) -> type[B]:
        cls.TYPE = f"wevion.{topic}.v{major}"
        cls.TOPIC = topic
        if cls.TYPE in EVENT_TYPES:
            raise ValueError(f"{cls.TYPE} is declared twice")
        EVENT_TYPES[cls.TYPE] = cls
        return cls

    return declare
