"""How the control API reads an order and refuses a wrong one: RFC 9457, the field named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from provider_simulator.world import UnknownNameError

B = TypeVar("B", bound=BaseModel)


@web.middleware
async def problems(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Names that do not exist, said the same way everywhere."""
    try:
        response: web.StreamResponse = await handler(request)
    except UnknownNameError as error:
        raise problem(404, "unknown_name", str(error)) from None
    return response


def problem(status: int, code: str, detail: str, errors: Any = None) -> web.HTTPException:
    """RFC 9457."""
    body = {"status": status, "code": code, "title": code.replace("_", " "), "detail": detail}
    if errors is not None:
        body["errors"] = errors
    kinds: dict[int, type[web.HTTPException]] = {
        404: web.HTTPNotFound,
        422: web.HTTPUnprocessableEntity,
    }
    return kinds.get(status, web.HTTPBadRequest)(text=json.dumps(body), content_type="application/problem+json")


async def json_object(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    try:
        document = json.loads(text or "{}")
    except ValueError:
        raise problem(400, "not_json", "the body is not JSON") from None
    if not isinstance(document, dict):
        raise problem(422, "not_an_object", "the body is not a JSON object")
    return document


async def checked_body(request: web.Request, model: type[B]) -> B:
    try:
        return model.model_validate(await json_object(request))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        names = ", ".join(".".join(map(str, e["loc"])) for e in errors)
        raise problem(422, "invalid_order", f"wrong: {names}", errors) from None


def whole(text: str, name: str) -> int:
    if not text.isdigit():
        raise problem(422, "invalid_query", f"{name} is a whole number")
    return int(text)
