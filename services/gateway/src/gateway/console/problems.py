"""What a person sees who opens an address and is refused: the problem in words and a way on, not a JSON document."""

import json
from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from common.web.problems import PROBLEM_JSON
from gateway.console.pages import PAGE_HEADERS, files

_HOME = "/connections"
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429
_NOT_THEIRS = {hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH, hdrs.CONTENT_ENCODING}


def problem_pages() -> Middleware:
    """Refusals of navigations as pages. Scripts and programs get the problem document, as they asked."""
    page = Template(files()["problem.html"].body.decode())

    @web.middleware
    async def show(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if not (isinstance(answer, web.Response) and answer.content_type == PROBLEM_JSON and _is_navigation(request)):
            return answer
        words = page.substitute(_words(json.loads(answer.text or "{}"), request))
        headers = {name: value for name, value in answer.headers.items() if name not in _NOT_THEIRS}
        headers |= PAGE_HEADERS | {"Cache-Control": "no-store"}
        return web.Response(status=answer.status, text=words, content_type="text/html", headers=headers)

    return show


def _is_navigation(request: web.Request) -> bool:
    """Return whether a person opens this address (Fetch Metadata; in older browsers, by the `Accept` header)."""
    if request.method != hdrs.METH_GET:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else request.headers.get(hdrs.ACCEPT, "").startswith("text/html")


def _words(problem: Mapping[str, Any], request: web.Request) -> dict[str, str]:
    status = int(problem.get("status", _SERVER_ERROR))
    passing = status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
    said = {
        "title": problem.get("title") or "That did not work",
        "detail": problem.get("detail") or "",
        "fix": problem.get("fix") or ("Try it again in a moment." if passing else ""),
        "next": "/" + request.path_qs.lstrip("/") if passing else problem.get("fix_url") or _HOME,
        "label": "Try again" if passing else "Go on" if problem.get("fix_url") else "To your connections",
        "reference": f"For support: {problem['trace_id']}" if problem.get("trace_id") else "",
    }
    return {name: escape(str(value)) for name, value in said.items()}
