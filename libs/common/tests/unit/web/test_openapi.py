"""The document says what the server does."""

from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field

from common.web import Access, Form, Page, PageQuery, Problem, Routes
from common.web.openapi import build


class Kind(StrEnum):
    META = "meta"
    TIKTOK = "tiktok"


class ItemPath(BaseModel):
    id: UUID = Field(description="the item")


class ItemQuery(PageQuery):
    kind: Kind | None = Field(default=None, description="only these")
    tag: list[str] = Field(default=[])


class NewItem(BaseModel):
    name: str = Field(min_length=1)
    note: str | None = None


class Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")
    code: str


class Item(BaseModel):
    id: UUID
    kind: Kind


def document() -> dict[str, Any]:
    routes = Routes("items")

    @routes.get("/items", access=Access.user(), summary="Items")
    async def items(query: ItemQuery) -> Page[Item]:
        """Newest first."""
        raise NotImplementedError

    @routes.post(
        "/items/{id}",
        access=Access.user_or_service("items:write"),
        summary="Make",
        status=201,
        problems=(404, (409, "item_exists"), Problem(409, "item_locked")),
    )
    async def make(path: ItemPath, body: NewItem) -> Item:
        raise NotImplementedError

    @routes.delete("/items/{id}", access=Access.service("items:write"), summary="Remove")
    async def remove(path: ItemPath) -> None:
        raise NotImplementedError

    @routes.post("/hooks/{name:[a-z]+}", access=Access.public(), summary="Hook")
    async def hook(body: bytes) -> None:
        raise NotImplementedError

    @routes.post("/callback", access=Access.public(), summary="Callback")
    async def callback(body: Form[Loose]) -> None:
        raise NotImplementedError

    return build(routes, title="items", version="1")


def test_it_is_valid_openapi_3_1() -> None:
    found = document()
    assert found["openapi"] == "3.1.0"
    validate(found)


def test_parameters_are_the_models_fields() -> None:
    (operation,) = document()["paths"]["/items"].values()
    by_name = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert by_name["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert by_name["kind"]["schema"] == {"$ref": "#/components/schemas/Kind"}
    assert by_name["kind"]["description"] == "only these"
    assert by_name["tag"]["schema"]["type"] == "array"
    assert not any(parameter["required"] for parameter in by_name.values())
    assert "null" not in str(by_name)
    assert operation["description"] == "Newest first."


def test_bodies_refuse_unknown_fields_unless_they_say_so() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["NewItem"]["additionalProperties"] is False
    assert schemas["NewItem"]["properties"]["name"]["pattern"] == "^[^\\u0000]*$"
    assert "additionalProperties" not in schemas["Loose"]
    assert "additionalProperties" not in schemas["Item"]
    assert "ItemQuery" not in schemas


def test_refusals_are_listed_with_their_codes() -> None:
    responses = document()["paths"]["/items/{id}"]["post"]["responses"]
    assert set(responses) == {"201", "400", "401", "403", "404", "408", "409", "413", "415", "default"}
    assert responses["409"]["description"] == "Refused: `item_exists`, `item_locked`"
    assert "application/problem+json" in responses["409"]["content"]
    assert responses["default"] == {"$ref": "#/components/responses/Problem"}


def test_who_may_is_listed() -> None:
    paths = document()["paths"]
    assert paths["/items"]["get"]["security"] == [{"user": []}]
    assert paths["/items/{id}"]["delete"]["security"] == [{"service": ["items:write"]}]
    assert paths["/items/{id}"]["post"]["security"] == [{"user": []}, {"service": ["items:write"]}]
    assert "security" not in paths["/callback"]["post"]


@pytest.mark.parametrize(
    ("path", "media_type"), [("/hooks/{name}", "*/*"), ("/callback", "application/x-www-form-urlencoded")]
)
def test_other_bodies(path: str, media_type: str) -> None:
    assert list(document()["paths"][path]["post"]["requestBody"]["content"]) == [media_type]


def test_204_for_nothing() -> None:
    assert "204" in document()["paths"]["/items/{id}"]["delete"]["responses"]
