"""Results of handlers as answers, with the headers that every API answer carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multidict import CIMultiDict
from pydantic import BaseModel

JSON = "application/json"

# An API answer is never a page: no script, no frame, no sniffing, no cache that somebody else can read.
SECURITY_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "wevion",
}
_JSON_HEADERS: CIMultiDict[str] = CIMultiDict({"Content-Type": JSON, **SECURITY_HEADERS})
_EMPTY_HEADERS: CIMultiDict[str] = CIMultiDict(SECURITY_HEADERS)


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's result that needs its own status, headers or cookies."""

    body: BaseModel | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def to_response(result: Any, status: int) -> web.StreamResponse:
    """Turn what a handler returned into an answer: a model into JSON, None into 204, a Reply into what it says."""
    if isinstance(result, BaseModel):
        return web.Response(body=encode(result), status=status, headers=_JSON_HEADERS.copy())
    if result is None:
        return web.Response(status=204, headers=_EMPTY_HEADERS.copy())
    if isinstance(result, web.StreamResponse):
        return secured(result)
    if isinstance(result, Reply):
        response = to_response(result.body, result.status or status)
        if result.status is not None and result.body is None:
            response.set_status(result.status)
        response.headers.update(result.headers)
        return response
    raise TypeError(f"a handler returned {type(result).__name__}; it may return a model, a Reply, an answer or None")


def encode(model: BaseModel) -> bytes:
    """Return the model as JSON, by alias."""
    encoded: bytes = model.__pydantic_serializer__.to_json(model, by_alias=True)
    return encoded


def secured(response: web.StreamResponse) -> web.StreamResponse:
    """Add the security headers that the answer does not set itself."""
    if not response.prepared:
        headers = response.headers
        for name, value in SECURITY_HEADERS.items():
            if name not in headers:
                headers[name] = value
    return response
