"""For tests: a caller that never follows a redirect, a person without a browser, an app's webhook endpoint."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from provider_simulator.app import Simulator
from provider_simulator.world import World

PUBLIC_URL = "http://app.example"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def sent_back(self) -> dict[str, str]:
        """The query of the redirect to the app."""
        if self.status != 302:  # noqa: PLR2004
            raise AssertionError(self.text)
        return dict(parse_qsl(urlsplit(self.headers["Location"]).query))


class Client:
    """Calls a simulator as an app, a person or a test would; never follows a redirect."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    @property
    def world(self) -> World:
        return self.simulator.world

    async def ask(self, method: str, url: str, **more: Any) -> Answer:
        base = "" if url.startswith("http") else self.simulator.url + "/"
        async with self.session.request(method, base + url, allow_redirects=False, **more) as response:
            return Answer(response.status, {k.title(): v for k, v in response.headers.items()}, await response.text())

    async def get(self, url: str, **query: Any) -> Answer:
        headers = query.pop("headers", None)
        return await self.ask("GET", url, params=query, headers=headers)

    async def post(self, url: str, form: dict[str, str] | None = None, **more: Any) -> Answer:
        return await self.ask("POST", url, data=form, **more)

    async def sim(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        url = f"{self.simulator.control_url}/_sim/{path}"
        answer = await self.ask(method, url, json=body, params=query)
        if answer.status >= 300:  # noqa: PLR2004
            raise AssertionError(answer.text)
        return answer.json if answer.text else None

    async def fault(self, **order: Any) -> Any:
        return await self.sim("POST", "faults", order)

    async def ledger(self, **query: Any) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = (await self.sim("GET", "ledger", **query))["entries"]
        return entries

    async def consent(self, url: str, query: dict[str, str], form: list[tuple[str, str]] | None = None) -> Answer:
        """What the person's browser sends when the form is filled in."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", f"{url}?{urlencode(query)}", data=urlencode(form or []), headers=headers)


@dataclass
class Receiver:
    """An app's webhook endpoint that writes down what comes."""

    url: str
    got: list[tuple[dict[str, str], bytes]]
    status: int = 200
    body: Any = None
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int) -> None:
        """Wait until `count` deliveries have come."""
        async with asyncio.timeout(5):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()
