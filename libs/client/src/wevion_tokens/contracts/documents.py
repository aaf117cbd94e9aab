"""The contracts as documents: a JSON Schema for each event type, and the AsyncAPI 3 description of all topics."""

from typing import Any

from wevion_tokens.contracts.base import EVENT_TYPES, EventBody
from wevion_tokens.contracts.topics import TOPICS, Topic

ASYNCAPI_VERSION = "3.0.0"
API_VERSION = "1.0.0"
_DEFS = "$defs"


def schema_of(model: type[EventBody]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one event body, by its names on the wire."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": model.TYPE, **schema}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document of every topic, message and service."""
    schemas: dict[str, Any] = {}
    messages = {name: _message(model, schemas) for name, model in sorted(EVENT_TYPES.items())}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Wevion token events",
            "version": API_VERSION,
            "description": (
                "CloudEvents 1.0 in Kafka's binary mode. At least once on the wire; drop what is not newer than the "
                "version that you hold. No event holds a secret, an email address, a chat id or a link code."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(topic) for name, topic in sorted(TOPICS.items())},
        "operations": _operations(),
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items())), "messageTraits": _traits()},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"{topic.meaning}. Key: {topic.key}.",
        "messages": {model.TYPE: {"$ref": f"#/components/messages/{model.TYPE}"} for model in topic.event_types},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {"cleanup.policy": ["compact"]}
                if topic.compacted
                else {"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for topic in TOPICS.values():
        for action, services in (("send", topic.producers), ("receive", topic.consumers)):
            for service in services:
                operations[f"{service.replace(' ', '-')}.{action}.{topic.name}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{topic.name}"},
                    "summary": f"{service} {action}s {topic.name}",
                }
    return dict(sorted(operations.items()))


def _message(model: type[EventBody], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="serialization", ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop(_DEFS, {}))
    schemas[model.__name__] = schema
    return {
        "name": model.TYPE,
        "title": model.__name__,
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }


def _traits() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "cloudEvent": {
            "headers": {
                "type": "object",
                "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "traceparent"],
                "properties": {
                    "ce_specversion": {"type": "string", "const": "1.0"},
                    "ce_id": {"type": "string", "format": "uuid"},
                    "ce_source": text,
                    "ce_type": text,
                    "ce_time": {"type": "string", "format": "date-time"},
                    "ce_subject": text,
                    "traceparent": text,
                    "ce_signature": text,
                },
            }
        }
    }
