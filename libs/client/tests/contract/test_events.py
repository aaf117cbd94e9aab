"""Every event against its stored schema and examples, in both directions."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.contracts import EVENT_TYPES, TOPICS, Event, InvalidEventError, decode, encode_body, encode_headers, writers
from wevion_tokens.contracts.documents import asyncapi, schema_of

STORED = Path(str(files("wevion_tokens.contracts"))) / "schemas"
EXAMPLES = Path(str(files("wevion_tokens.contracts"))) / "examples"
ASYNCAPI = Path(__file__).parents[4] / "docs" / "asyncapi.yaml"
EXAMPLE_FILES = sorted(EXAMPLES.glob("*/*.json"))
NOW = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
EVENT_ID = UUID("01939a00-0000-7000-8000-0000000000ff")


def stored_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((STORED / f"{name}.json").read_text())
    return schema


def properties(schema: dict[str, Any]) -> dict[str, set[str]]:
    """Required fields of the body and of every part in it."""
    parts = {"body": schema, **schema.get("$defs", {})}
    return {name: set(part.get("required", ())) for name, part in parts.items()}


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_the_schema_is_the_stored_one(name: str) -> None:
    assert schema_of(EVENT_TYPES[name]) == stored_schema(name), "run `make snapshots` and review the diff"


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_has_an_example_a_topic_an_owner_and_a_reader(name: str) -> None:
    topic = TOPICS[EVENT_TYPES[name].TOPIC]
    assert list((EXAMPLES / name).glob("*.json"))
    assert EVENT_TYPES[name] in topic.event_types
    assert topic.producers
    assert topic.consumers


def test_no_schema_and_no_example_is_orphaned() -> None:
    assert {path.stem for path in STORED.glob("*.json")} == set(EVENT_TYPES)
    assert {path.parent.name for path in EXAMPLE_FILES} == set(EVENT_TYPES)


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_fits_the_stored_schema_and_survives_the_wire(path: Path) -> None:
    jsonschema.validate(json.loads(path.read_text()), stored_schema(path.parent.name))
    body = EVENT_TYPES[path.parent.name].model_validate_json(path.read_bytes())
    sent = Event(id=EVENT_ID, time=NOW, source=min(writers(body)), body=body, traceparent=None)
    assert decode(encode_body(body), encode_headers(sent)) == sent
    jsonschema.validate(json.loads(encode_body(body)), stored_schema(path.parent.name))


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_reader_of_today_reads_a_newer_minor_version(path: Path) -> None:
    newer = json.loads(path.read_text())
    newer["added_by_a_later_version"] = {"anything": [1, 2]}
    if "token" in newer:
        newer["token"]["added_too"] = "x"
    model = EVENT_TYPES[path.parent.name]
    assert model.model_validate(newer) == model.model_validate_json(path.read_bytes())


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_optional_fields_may_be_missing_so_older_writers_are_read(path: Path) -> None:
    model = EVENT_TYPES[path.parent.name]
    required = properties(stored_schema(path.parent.name))["body"]
    writable = {name for name in required if not _has_default(model, name)}
    oldest = {name: value for name, value in json.loads(path.read_text()).items() if name in writable}
    model.model_validate(oldest)


def _has_default(model: type[Any], wire_name: str) -> bool:
    return any(
        (field.alias or name) == wire_name and not field.is_required() for name, field in model.model_fields.items()
    )


def test_the_asyncapi_document_is_the_generated_one() -> None:
    text = "".join(line for line in ASYNCAPI.read_text().splitlines(keepends=True) if not line.startswith("#"))
    assert json.loads(text) == asyncapi(), "run `make snapshots` and review the diff"


def test_the_asyncapi_references_all_resolve() -> None:
    document = asyncapi()

    def check(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    found: Any = document
                    for part in value.removeprefix("#/").split("/"):
                        found = found[part]
                else:
                    check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(document)
    assert set(document["channels"]) == set(TOPICS)


def good_record() -> tuple[bytes, dict[str, bytes]]:
    path = EXAMPLES / "wevion.token.revoked.v1" / "user_removed_app.json"
    body = EVENT_TYPES["wevion.token.revoked.v1"].model_validate_json(path.read_bytes())
    event = Event(id=EVENT_ID, time=NOW, source="oauth-svc", body=body)
    return encode_body(body), dict(encode_headers(event))


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("ce_type", None, "ce_type: missing"),
        ("ce_type", b"wevion.token.revoked.v9", "not an event type that this version knows"),
        ("ce_id", b"17", "ce_id: not a UUID"),
        ("ce_id", None, "ce_id: missing"),
        ("ce_time", b"2026-02-01T09:30:00", "ce_time: not an RFC 3339 time with an offset"),
        ("ce_time", b"yesterday", "ce_time"),
        ("ce_source", None, "ce_source: missing"),
        ("ce_source", b"/evil", "ce_source: '/evil' does not write such an event"),
        ("ce_source", b"session-svc", "does not write such an event"),
        ("ce_source", b"notifier", "does not write such an event"),
        ("ce_source", b"rule-pauser", "does not write such an event"),
        ("ce_time", b"2200-01-01T00:00:00Z", "of this century"),
        ("ce_time", b"1969-12-31T23:59:59Z", "of this century"),
        ("ce_specversion", b"2.0", "is not 1.x"),
        ("ce_subject", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_bad_envelope_is_refused_by_name(header: str, value: bytes | None, reason: str) -> None:
    body, headers = good_record()
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    with pytest.raises(InvalidEventError, match=reason):
        decode(body, headers.items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cause": "because"}, "cause: Input should be"),
        ({"cause": None}, "cause: Input should be"),
        ({"token": {}}, "token.token_id: Field required"),
        ({"user_epoch": "many"}, "user_epoch: Input should be a valid integer"),
    ],
)
def test_a_bad_body_is_refused_by_field_and_rule(change: dict[str, Any], reason: str) -> None:
    body, headers = good_record()
    with pytest.raises(InvalidEventError, match=reason):
        decode(json.dumps(json.loads(body) | change).encode(), headers.items())


def test_a_refusal_does_not_repeat_the_value() -> None:
    body, headers = good_record()
    secret = "EAAB-looks-like-a-token"
    with pytest.raises(InvalidEventError) as refusal:
        decode(json.dumps(json.loads(body) | {"cause": secret}).encode(), headers.items())
    assert secret not in str(refusal.value)


def test_a_tombstone_is_not_an_event() -> None:
    with pytest.raises(InvalidEventError, match="tombstone"):
        decode(None, good_record()[1].items())


@given(st.binary(max_size=200))
def test_no_bytes_make_decode_fail_in_another_way(value: bytes) -> None:
    with pytest.raises(InvalidEventError):
        decode(value, good_record()[1].items())


@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "x"]), st.binary(max_size=20)), max_size=6))
def test_no_headers_make_decode_fail_in_another_way(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(InvalidEventError):
        decode(b"{}", headers)


def test_no_event_has_room_for_a_secret_or_an_address() -> None:
    forbidden = {
        "email",
        "chat_id",
        "access_token",
        "refresh_token",
        "password",
        "secret",
        "code_verifier",
        "link_code",
    }
    for name in EVENT_TYPES:
        schema = stored_schema(name)
        fields = set(schema["properties"])
        for part in schema.get("$defs", {}).values():
            fields |= set(part.get("properties", ()))
        assert not fields & forbidden, name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("since", "2200-01-01T00:00:00Z"),
        ("since", "9999-12-31T23:59:59Z"),
        ("since", "0001-01-01T00:00:00Z"),
        ("expires_at", "9999-12-31T23:59:59Z"),
        ("user_epoch", 2**40),
        ("user_epoch", -1),
        ("version", 2**31),
        ("version", 0),
    ],
)
def test_a_number_or_time_that_no_service_of_ours_writes_is_refused(field: str, value: Any) -> None:
    """So that a reader that counts with it cannot be stopped by one record."""
    path = next(path for path in EXAMPLE_FILES if path.parent.name == "wevion.token.state.v1")
    document = json.loads(path.read_text())
    (document["token"] if field == "version" else document)[field] = value
    with pytest.raises(ValidationError, match=field):
        EVENT_TYPES["wevion.token.state.v1"].model_validate(document)


@pytest.mark.parametrize(
    ("kind", "owner"),
    [
        ("session", "session-svc"),
        ("platform_oauth", "oauth-svc"),
        ("integration", "oauth-svc"),
        ("telegram_link", "notifier"),
    ],
)
def test_only_the_owner_speaks_of_a_tokens_life(kind: str, owner: str) -> None:
    for name, also in (("token.state", set()), ("token.revoked", set()), ("token.expired", {"expiry-watcher"})):
        path = next(path for path in EXAMPLE_FILES if path.parent.name == f"wevion.{name}.v1")
        document = json.loads(path.read_text())
        document["token"]["kind"] = kind
        body = EVENT_TYPES[path.parent.name].model_validate(document)
        assert writers(body) == {owner} & set(TOPICS[name].producers) | also
