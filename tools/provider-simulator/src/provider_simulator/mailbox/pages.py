"""The HTTP side: `GET /mailbox` is JSON for programs and a page for browsers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from provider_simulator.consent import PAGES
from provider_simulator.world import World

WAIT_AT_MOST_S = 30.0
# A mail is shown in a frame of its own that may not run anything.
FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: http: https:; sandbox allow-popups"


class Mailbox:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/mailbox", self.search),
            web.delete("/mailbox", self.empty),
            web.get("/mailbox/{id}", self.show),
            web.get("/mailbox/{id}/html", self.html),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """Newest first, for programs or browsers.

        Filters: `to`, `subject`, `text` (parts, any case), `after` (id), `limit`; `wait_s` waits until one matches.
        """
        query = request.query
        try:
            limit = int(query.get("limit", 100))
            after = int(query.get("after", 0))
            wait_s = min(float(query.get("wait_s", 0)), WAIT_AT_MOST_S)
        except ValueError:
            raise web.HTTPBadRequest(text="limit, after and wait_s are numbers\n") from None
        deadline = asyncio.get_running_loop().time() + wait_s
        while not (found := self.found(query, after)):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            came = self._world.mail_came
            try:
                await asyncio.wait_for(came.wait(), left)
            except TimeoutError:
                break
        if "text/html" in request.headers.get("Accept", ""):
            return self.page(found[:limit], None)
        return web.json_response({"messages": [_dated(m) for m in found[:limit]], "matching": len(found)})

    def found(self, query: Any, after: int) -> list[dict[str, Any]]:
        to, subject, text = (query.get(name, "").lower() for name in ("to", "subject", "text"))
        return [
            m
            for m in reversed(list(self._world.mail.values()))
            if int(m["id"]) > after
            and (not to or any(to in address.lower() for address in m["to"]))
            and subject in m["subject"].lower()
            and (not text or text in (m["text"] or "").lower() or text in (m["html"] or "").lower())
        ]

    def page(self, messages: list[dict[str, Any]], opened: dict[str, Any] | None) -> web.Response:
        text = PAGES.get_template("mailbox.html").render(
            messages=[_dated(m) for m in messages], opened=None if opened is None else _dated(opened)
        )
        return web.Response(text=text, content_type="text/html")

    def one(self, request: web.Request) -> dict[str, Any]:
        message = self._world.mail.get(request.match_info["id"])
        if message is None:
            raise web.HTTPNotFound(text="no such message\n")
        return message

    async def show(self, request: web.Request) -> web.Response:
        message = self.one(request)
        if "text/html" in request.headers.get("Accept", ""):
            return self.page(list(reversed(self._world.mail.values()))[:200], message)
        return web.json_response(_dated(message))

    async def html(self, request: web.Request) -> web.Response:
        message = self.one(request)
        if message["html"] is None:
            raise web.HTTPNotFound(text="this message has no HTML part\n")
        headers = {"Content-Security-Policy": FRAME_POLICY}
        return web.Response(text=message["html"], content_type="text/html", headers=headers)

    async def empty(self, _request: web.Request) -> web.Response:
        for key in self._world.mail:
            self._world.journal.mark("mail", key)
        self._world.mail.clear()
        return web.Response(status=204)


def _dated(message: dict[str, Any]) -> dict[str, Any]:
    return message | {"time": datetime.fromtimestamp(message["time"], UTC).isoformat()}
