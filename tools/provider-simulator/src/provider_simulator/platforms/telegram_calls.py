"""How the Bot API reads the parameters of a method, and how it says no."""

from __future__ import annotations

import json
import math
from typing import Any

from aiohttp import web

from provider_simulator.wire import Call, Reply, answer


def bot_error(status: int, description: str, parameters: dict[str, Any] | None = None) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    headers = {}
    if parameters is not None:
        body["parameters"] = parameters
        if "retry_after" in parameters:
            headers["Retry-After"] = str(parameters["retry_after"])
    return answer(body, status, headers)


def refuse(status: int, description: str, parameters: dict[str, Any] | None = None) -> Reply:
    return Reply(bot_error(status, description, parameters))


def too_many(wait_s: float) -> web.Response:
    seconds = max(1, math.ceil(wait_s))
    return bot_error(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


async def parameters(call: Call) -> dict[str, Any]:
    """Query, form (plain or multipart) or JSON; objects may come as JSON strings, as clients send them in forms."""
    given: dict[str, Any] = dict(call.query)
    if call.request.content_type == "application/json":
        given |= await call.json() or {}
    elif call.request.can_read_body:
        given |= {k: v for k, v in (await call.request.post()).items() if isinstance(v, str)}
    return normal(given)


def normal(given: dict[str, Any]) -> dict[str, Any]:
    """Objects, lists and booleans out of their strings."""
    for name in ("reply_markup", "allowed_updates", "link_preview_options", "entities"):
        if isinstance(given.get(name), str):
            try:
                given[name] = json.loads(given[name])
            except ValueError:
                raise refuse(400, f"Bad Request: can't parse {name} JSON object") from None
    for name in ("drop_pending_updates", "show_alert"):
        if isinstance(given.get(name), str):
            given[name] = given[name].lower() in {"true", "1"}
    return given


def whole(given: dict[str, Any], name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except ValueError:
        raise refuse(400, f"Bad Request: {name} must be an integer") from None
