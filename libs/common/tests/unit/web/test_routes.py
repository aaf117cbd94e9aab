"""Signatures that cannot be served are refused when they are registered, not when they are called."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from pydantic import BaseModel

from common.web import Access, Form, Principal, Problem, Reply, Routes, create_app


class Item(BaseModel):
    id: UUID


def register(handler: Any, access: Access | None = None) -> Any:
    routes = Routes("items")
    routes.post("/items/{id}", access=access or Access.user(), summary="x")(handler)
    return next(iter(routes))


def test_everything_is_found_by_name() -> None:
    async def handler(path: Item, query: Item, body: Item, principal: Principal, request: web.Request) -> Item: ...  # type: ignore[empty-body]

    route = register(handler)
    assert route.wants == {"path", "query", "body", "principal", "request"}
    assert (route.path_model, route.query_model, route.result) == (Item, Item, Item)
    assert route.body.model is Item
    assert not route.body.optional


def test_kinds_of_bodies_and_results() -> None:
    async def form(body: Form[Item]) -> None: ...
    async def raw(body: bytes) -> web.StreamResponse: ...  # type: ignore[empty-body]
    async def optional(body: Item | None) -> Item | Reply: ...  # type: ignore[empty-body]

    assert register(form).body.form
    assert register(raw).body.model is None
    assert register(raw).returns_response
    assert register(optional).body.optional
    assert register(optional).result is Item


async def unknown_name(item: Item) -> None: ...
async def no_type(path) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
async def no_model(path: dict[str, str]) -> None: ...
async def two_bodies(body: Item | bytes) -> None: ...
async def own_principal(principal: Item) -> None: ...
def not_async(path: Item) -> None: ...


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (unknown_name, "parameter 'item' is none of"),
        (no_type, "has no type"),
        (no_model, "must be a pydantic model"),
        (two_bodies, "one pydantic model or bytes"),
        (own_principal, "must be a Principal"),
        (not_async, "must be async"),
    ],
)
def test_what_cannot_be_served_is_refused(handler: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        register(handler)


def test_a_public_endpoint_has_no_principal() -> None:
    async def handler(principal: Principal) -> None: ...

    with pytest.raises(TypeError, match="no principal"):
        register(handler, Access.public())


async def test_a_guarded_route_needs_an_authenticator() -> None:
    routes = Routes("items")

    @routes.get("/items", access=Access.user(), summary="x")
    async def items() -> None: ...

    with pytest.raises(TypeError, match="no authenticator"):
        create_app(routes, title="x", version="1")


def test_a_service_has_no_user_id() -> None:
    principal = Principal("service", "rule-pauser", "j", datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="no user id"):
        _ = principal.user_id


def test_a_problem_says_what_it_has_and_nothing_else() -> None:
    assert Problem(404, "no_such_connection").document() == {
        "type": "urn:wevion:problem:no_such_connection",
        "title": "No such connection",
        "status": 404,
        "code": "no_such_connection",
    }
