"""A small server with one endpoint of each kind, on a free port."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel, Field, SecretStr

from common.runtime.errors import RetryableError
from common.web import (
    Access,
    Form,
    Page,
    PageQuery,
    Principal,
    Problem,
    Reply,
    Routes,
    create_app,
    serve,
)

USER = Principal(
    "user", str(UUID(int=1)), "jti", datetime(2027, 1, 1, tzinfo=UTC), session_id=UUID(int=2), role="owner"
)


class ItemPath(BaseModel):
    id: UUID


class ItemQuery(PageQuery):
    since: datetime | None = None
    tag: tuple[str, ...] = ()


class NewItem(BaseModel):
    name: str = Field(min_length=2, max_length=20)
    count: int = Field(default=1, ge=0, le=100)
    secret: SecretStr | None = None
    inner: dict[str, list[str]] = Field(default_factory=dict)


class Item(BaseModel):
    name: str
    said: str = ""


@dataclass
class Site:
    """What a test talks to."""

    http: aiohttp.ClientSession
    url: str
    host: str
    port: int
    checks: dict[str, Any]
    app: web.Application
    release: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)


def build_routes(release: asyncio.Event, entered: asyncio.Event) -> Routes:  # noqa: C901  a table
    routes = Routes("items")

    @routes.get("/items", access=Access.public(), summary="Items")
    async def items(query: ItemQuery) -> Page[Item]:
        return Page(items=[Item(name=tag, said=str(query.limit)) for tag in query.tag])

    @routes.get("/items/{id}", access=Access.public(), summary="Item", problems=((404, "no_such_item"),))
    async def item(path: ItemPath) -> Item:
        if path.id.int == 0:
            raise Problem(404, "no_such_item", detail="It was removed.", fix="Make a new one.", fix_url="/items")
        return Item(name=str(path.id))

    @routes.post("/items", access=Access.public(), summary="Make", status=201, max_body_bytes=2000)
    async def make(body: NewItem) -> Item:
        return Item(name=body.name, said=str(body.count))

    @routes.put("/items", access=Access.public(), summary="Maybe")
    async def maybe(body: NewItem | None) -> Item | Reply:
        if body is None:
            return Reply(Item(name="none"), status=202, headers={"Location": "/items/1"})
        return Item(name=body.name)

    @routes.delete("/items/{id}", access=Access.user(), summary="Remove")
    async def remove(path: ItemPath, principal: Principal) -> None:
        assert principal is USER

    @routes.post("/form", access=Access.public(), summary="Form", oauth_errors=True)
    async def form(body: Form[NewItem]) -> Item:
        if body.name == "wrong":
            raise Problem(401, "invalid_client", "Unknown client")
        return Item(name=body.name)

    @routes.post("/raw", access=Access.public(), summary="Bytes", max_body_bytes=100_000)
    async def raw(body: bytes) -> Item:
        return Item(name=str(len(body)))

    @routes.get("/broken", access=Access.public(), summary="Broken")
    async def broken() -> Item:
        raise RuntimeError("the password is hunter2")

    @routes.get("/away", access=Access.public(), summary="Away")
    async def away() -> Item:
        raise RetryableError("database at 10.0.0.1 is away")

    @routes.get("/odd", access=Access.public(), summary="Odd")
    async def odd(request: web.Request) -> Item:
        return request.query_string  # type: ignore[return-value]

    @routes.get("/slow", access=Access.public(), summary="Slow")
    async def slow() -> Item:
        entered.set()
        await release.wait()
        return Item(name="done")

    @routes.get("/moved", access=Access.public(), summary="Moved")
    async def moved() -> web.Response:
        raise web.HTTPFound("/items?limit=1")

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/plain", "Cache-Control": "max-age=5"})
        await answer.prepare(request)
        await answer.write(request.method.encode())
        return answer

    routes.raw("*", "/stream/{rest:.*}", stream)
    return routes


async def authenticate(request: web.Request, _: Access) -> Principal:
    if "Authorization" not in request.headers:
        raise Problem(401, "token_missing", headers={"WWW-Authenticate": "Bearer"})
    return USER


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    release, entered = asyncio.Event(), asyncio.Event()
    checks: dict[str, Any] = {}
    app = create_app(
        build_routes(release, entered),
        authenticate=authenticate,
        title="items",
        version="1",
        ready_checks={"database": lambda: checks.get("database"), "kafka": lambda: checks.get("kafka", True)},
        timeout_s=20,
    )
    async with serve(app, shutdown_timeout_s=5) as server, aiohttp.ClientSession(server.url) as http:
        yield Site(http, server.url, server.host, server.port, checks, app, release, entered)
        release.set()
