"""OpenAPI-driven fuzzing (schemathesis): the server does what its document says, for good requests and bad ones."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, Field, SecretStr
from schemathesis import GenerationMode

from common.web import Access, Form, Page, PageQuery, Problem, Routes, create_app, decode_cursor, encode_cursor, serve


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class ThingPath(BaseModel):
    id: UUID


class ThingQuery(PageQuery):
    color: Color | None = None
    since: datetime | None = None
    tag: list[str] = Field(default=[], max_length=3)
    loud: bool = False


class Part(BaseModel):
    name: str = Field(min_length=1, max_length=10)
    weight: float | None = Field(default=None, ge=0)


class NewThing(BaseModel):
    name: str = Field(min_length=1, max_length=30, pattern=r"^[a-z ]+$")
    color: Color
    parts: list[Part] = Field(default=[], max_length=5)
    labels: dict[str, str] = Field(default={})
    password: SecretStr | None = None


class Thing(BaseModel):
    id: UUID
    name: str


class Credentials(BaseModel):
    grant_type: str
    scope: str | None = None


def build() -> Routes:
    routes = Routes("things")

    @routes.get("/things", access=Access.public(), summary="Things")
    async def things(query: ThingQuery) -> Page[Thing]:
        decode_cursor("things", query.cursor, [UUID])
        return Page(items=[], next_cursor=encode_cursor("things", [UUID(int=1)]))

    @routes.post("/things/{id}", access=Access.public(), summary="Make", status=201, problems=((404, "no_such_thing"),))
    async def make(path: ThingPath, body: NewThing) -> Thing:
        if path.id.int % 2:
            raise Problem(404, "no_such_thing")
        return Thing(id=path.id, name=body.name)

    @routes.put("/things/{id}", access=Access.public(), summary="Touch")
    async def touch(path: ThingPath, body: Part | None) -> None: ...

    @routes.post("/token", access=Access.public(), summary="Token")
    async def token(body: Form[Credentials]) -> None: ...

    @routes.delete("/things/{id}", access=Access.user(), summary="Remove")
    async def remove(path: ThingPath) -> None: ...

    return routes


async def nobody(*_: Any) -> Any:
    raise Problem(401, "token_missing", headers={"WWW-Authenticate": "Bearer"})


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """The schema of a server in a thread of its own, because schemathesis calls it and waits."""
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def run() -> None:
        app = create_app(build(), authenticate=nobody, title="things", version="1", access_log=False)
        async with serve(app, shutdown_timeout_s=1) as server:
            urls.append(server.url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(10)
    yield schemathesis.openapi.from_url(f"{urls[0]}/openapi.json")
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_that_the_document_does_not_list(api: Any, mode: GenerationMode) -> None:
    """Valid requests are accepted, invalid ones refused, and every answer has a status and a body that are listed."""
    operations = [operation.ok() for operation in api.get_all_operations()]
    assert len(operations) == 5
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and operation.label.startswith("DELETE"):
            continue  # nobody is let in, so nothing of the request is looked at

        @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            if mode is GenerationMode.POSITIVE and case.query:
                case.query.pop("cursor", None)  # opaque: no schema can say which texts are cursors
            case.call_and_validate(timeout=10)

        check()
