"""A person's browser: cookies, calls, and what came back."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import aiohttp.web
from yarl import URL

from common.edge import SESSION_COOKIE

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    user_id: UUID
    email: str
    workspace_id: UUID
    password: str = PASSWORD


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.body["code"])


@dataclass
class Browser:
    """A browser at the public origin: one cookie, and the Origin header that browsers add to unsafe calls."""

    http: aiohttp.ClientSession
    origin: str
    address: str
    cookie: str | None = None
    device: str | None = None

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; a new session cookie is kept as a browser keeps it."""
        sent = {"X-Forwarded-For": self.address}
        if method not in {"GET", "HEAD"}:
            sent["Origin"] = self.origin
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        cookies = {SESSION_COOKIE: self.cookie, "wevion_device": self.device}
        if any(cookies.values()):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
        async with self.http.request(
            method, URL(self.origin + path, encoded=True), json=body, headers=sent, allow_redirects=False
        ) as response:
            raw = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "") and raw
            for line in response.headers.getall("Set-Cookie", []):
                name, _, rest = line.partition("=")
                if name == SESSION_COOKIE:
                    self.cookie = rest.partition(";")[0]
                elif name == "wevion_device":
                    self.device = rest.partition(";")[0]
            return Answer(response.status, response.headers, await response.json(content_type=None) if is_json else raw)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("PUT", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> Answer:
        return await self.call("DELETE", path, **headers)

    async def token(self) -> Answer:
        """What the browser's session module does."""
        return await self.post("/api/v1/auth/token")

    async def session_id(self) -> str:
        """The session's id."""
        return str((await self.get("/api/v1/auth/session")).body["session_id"])
