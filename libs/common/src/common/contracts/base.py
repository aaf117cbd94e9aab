"""The base of every event body: what all of them promise."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict


def _require_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its UTC offset, such as 2026-01-31T09:00:00Z")
    return value.astimezone(UTC)


UtcDatetime = Annotated[datetime, AfterValidator(_require_utc)]
"""A point in time with an offset, kept in UTC. A naive time is refused."""


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
