"""What of a change of an interface breaks who calls it, and what does not."""

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from devstack.apis import breaking

OLD: dict[str, Any] = {
    "paths": {
        "/things/{id}": {
            "post": {
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                    {
                        "in": "query",
                        "name": "kind",
                        "required": False,
                        "schema": {"type": "string", "enum": ["a", "b"]},
                    },
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}},
                },
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}},
                    "409": {"content": {}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Question": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            },
            "Answer": {
                "type": "object",
                "required": ["things"],
                "properties": {"things": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}},
            },
            "Thing": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        }
    },
}


def changed(change: Callable[[SimpleNamespace], Any]) -> list[str]:
    """What is found when `change` was made to the operation and the schemas."""
    new = copy.deepcopy(OLD)
    change(SimpleNamespace(operation=new["paths"]["/things/{id}"]["post"], schemas=new["components"]["schemas"]))
    return breaking(OLD, new)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda api: api.schemas["Thing"]["required"].clear(), "things[].id can now be absent"),
        (lambda api: api.schemas["Thing"]["properties"]["id"].update(type="integer"), "things[].id can now be integer"),
        (
            lambda api: api.schemas["Thing"]["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "things[].id can now be null",
        ),
        (lambda api: api.schemas["Question"]["required"].append("note"), "body.note is now required"),
        (lambda api: api.schemas["Question"]["properties"].pop("note"), "body.note is not taken any more"),
        (
            lambda api: api.schemas["Question"]["properties"].update(note={"type": "string"}),
            "null is not taken any more",
        ),
        (lambda api: api.operation["parameters"][1].update(required=True), "parameter kind is now required"),
        (lambda api: api.operation["parameters"][1]["schema"]["enum"].remove("b"), "b is not taken any more"),
        (lambda api: api.operation["parameters"].pop(), "parameter kind is gone"),
        (lambda api: api.operation["responses"].pop("200"), "200 is not answered any more"),
    ],
)
def test_what_breaks_is_named(change: Any, said: str) -> None:
    found = changed(change)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda api: api.schemas["Thing"]["properties"].update(name={"type": "string"}),
        lambda api: api.schemas["Question"]["properties"].update(more={"type": "string"}),
        lambda api: api.schemas["Question"]["required"].clear(),
        lambda api: api.operation["parameters"][1]["schema"]["enum"].append("c"),
        lambda api: api.operation["responses"].pop("409"),
    ],
)
def test_what_is_only_added_breaks_nothing(change: Any) -> None:
    assert changed(change) == []


def test_a_path_that_is_gone_breaks() -> None:
    assert breaking(OLD, {"paths": {}}) == ["POST /things/{id} is gone"]
