"""CloudEvents 1.0 in Kafka's binary mode: attributes in `ce_` headers, the body alone as the value.

Source: CloudEvents 1.0.2, and its Kafka protocol binding, section 3.2.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from wevion_tokens.contracts.base import EVENT_TYPES, EventBody, FactTime
from wevion_tokens.contracts.topics import writers

B_co = TypeVar("B_co", bound=EventBody, covariant=True)

Headers = tuple[tuple[str, bytes], ...]

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"

_time = TypeAdapter(FactTime)


class InvalidEventError(ValueError):
    """A record that is not an event we can read: it never will be, so it is put aside with this reason."""


@dataclass(frozen=True, slots=True)
class Event(Generic[B_co]):
    """One event as it travels: the body and the attributes of its envelope."""

    id: UUID
    time: datetime
    source: str
    body: B_co
    traceparent: str | None = None
    signature: str | None = None
    """The owner's, where an event has one (`wevion_tokens.auth.signatures`)."""

    @property
    def type(self) -> str:
        return self.body.TYPE

    @property
    def topic(self) -> str:
        return self.body.TOPIC


def attributes(event: Event[EventBody]) -> dict[str, str]:
    """Return the envelope of an event: its `ce_` attributes, content type and trace, as text."""
    found = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(event.id),
        "ce_source": event.source,
        "ce_type": event.type,
        "ce_time": event.time.isoformat(),
        "ce_subject": event.body.subject(),
        "content-type": CONTENT_TYPE,
    }
    if event.traceparent is not None:
        found["traceparent"] = event.traceparent
    if event.signature is not None:
        found["ce_signature"] = event.signature
    return found


def signed_content(found: Mapping[str, str], body: bytes) -> bytes:
    """Return what a signature covers: who says it, when, of what, and the body as it travels."""
    said = (found["ce_id"], found["ce_type"], found["ce_source"], found["ce_subject"], found["ce_time"])
    return "\n".join(said).encode() + b"\n" + body


def encode_headers(event: Event[EventBody]) -> Headers:
    """Return the envelope as Kafka headers."""
    return tuple((name, value.encode()) for name, value in attributes(event).items())


def encode_body(body: EventBody) -> bytes:
    """Return the body as JSON bytes, by its names on the wire."""
    return body.model_dump_json(by_alias=True).encode()


def decode(value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Event[EventBody]:
    """Read one record.

    Raises:
        InvalidEventError: with the reason: a missing attribute, an unknown type or major version, a tombstone, a body
            that breaks its schema (the field and the rule are named), or a source that does not own what it speaks of.

    """
    envelope: dict[str, str] = {}
    for name, raw in headers:
        try:
            envelope[name.lower()] = raw.decode()
        except (UnicodeDecodeError, AttributeError) as error:
            raise InvalidEventError(f"header {name}: not UTF-8 text") from error
    type_name = _attribute(envelope, "ce_type")
    model = EVENT_TYPES.get(type_name)
    if model is None:
        raise InvalidEventError(f"ce_type: {type_name!r} is not an event type that this version knows")
    if envelope.get("ce_specversion", SPEC_VERSION).split(".")[0] != "1":
        raise InvalidEventError(f"ce_specversion: {envelope['ce_specversion']!r} is not 1.x")
    if value is None:
        raise InvalidEventError("the record has no body (a tombstone)")
    event_id, time = _identity(envelope)
    try:
        body = model.model_validate_json(value)
    except ValidationError as error:
        raise InvalidEventError(f"{type_name}: {explain(error)}") from error
    source = _attribute(envelope, "ce_source")
    if source not in writers(body):
        raise InvalidEventError(f"ce_source: {source[:60]!r} does not write such an event ({type_name})")
    return Event(
        id=event_id,
        time=time,
        source=source,
        body=body,
        traceparent=envelope.get("traceparent"),
        signature=envelope.get("ce_signature"),
    )


def _identity(envelope: dict[str, str]) -> tuple[UUID, datetime]:
    try:
        return UUID(_attribute(envelope, "ce_id")), _time.validate_python(_attribute(envelope, "ce_time"))
    except ValidationError as error:
        raise InvalidEventError("ce_time: not an RFC 3339 time with an offset, of this century") from error
    except ValueError as error:
        if isinstance(error, InvalidEventError):
            raise
        raise InvalidEventError("ce_id: not a UUID") from error


def explain(error: ValidationError, limit: int = 5) -> str:
    """Name each wrong field and the rule that it breaks, without the value (it could be a secret)."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}" for problem in problems]
    more = f" (and {len(said) - limit} more)" if len(said) > limit else ""
    return "; ".join(said[:limit]) + more


def _attribute(envelope: dict[str, str], name: str) -> str:
    value = envelope.get(name)
    if not value:
        raise InvalidEventError(f"{name}: missing")
    return value
